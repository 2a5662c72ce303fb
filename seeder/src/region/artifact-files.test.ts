import { readFile } from "node:fs/promises";
import { artifactCid } from "@shoal/api/names";
import { MemoryBlobs } from "@shoal/store/memory-blobs";
import { expect, test } from "vitest";
import { ArtifactFiles } from "./artifact-files.ts";

const fixtures = new URL("../../../test/fixtures/", import.meta.url);

test("the golden record of a held artifact means what it meant, and is written the same", async () => {
  const golden = new Uint8Array(await readFile(new URL("held/v1/held.json", fixtures)));
  const cid = artifactCid.parse(
    (await readFile(new URL("manifest/v1/tree.cid", fixtures), "utf8")).trim(),
  );
  const written = new MemoryBlobs();
  await new ArtifactFiles(written).putHeld(cid, "web");
  expect(await written.get(`held/${cid}`)).toEqual(golden);
  const read = new MemoryBlobs();
  await read.put(`held/${cid}`, [golden]);
  expect(await new ArtifactFiles(read).held()).toEqual([{ cid, project: "web" }]);
});

test.for([
  ["another version", '{"format":"shoal.held/v2","project":"web"}'],
  ["a field that nobody knows", '{"format":"shoal.held/v1","project":"web","more":1}'],
  ["no JSON", "{"],
] as const)("a record of %s counts as none", async ([, text]) => {
  const cid = (await readFile(new URL("manifest/v1/tree.cid", fixtures), "utf8")).trim();
  const blobs = new MemoryBlobs();
  await blobs.put(`held/${cid}`, [new TextEncoder().encode(text)]);
  expect(await new ArtifactFiles(blobs).held()).toEqual([]);
});
