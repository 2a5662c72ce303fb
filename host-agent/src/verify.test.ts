import { chmod, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Manifest } from "@shoal/core/content/manifest";
import { encodeManifest, manifestCid } from "@shoal/core/content/manifest-codec";
import { digest } from "@shoal/core/digest";
import { openReleaseFiles } from "@shoal/store/release-files";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runVerify } from "./verify.ts";

const chunks = [1, 2, 3].map((seed) => new Uint8Array(70_000).fill(seed));
const manifest: Manifest = {
  kind: "tree",
  entries: [{ type: "file", path: "app", mode: 0o755, bytes: 210_000 }],
  bytes: 210_000,
  chunkHashes: Uint8Array.from(chunks.flatMap((chunk) => [...digest(chunk)])),
  chunkBytes: Uint32Array.from(chunks.map(({ length }) => length)),
};
const cid = manifestCid(encodeManifest(manifest));
let stateDir: string;

beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), "shoal-verify-"));
  const files = await openReleaseFiles(join(stateDir, "releases", cid), manifest);
  for (const [index, chunk] of chunks.entries()) await files.write(index, chunk);
  await files.seal();
  await files.close();
});
afterEach(async () => {
  await chmod(join(stateDir, "releases", cid, "tree"), 0o755);
  await rm(stateDir, { recursive: true });
});

async function verify(): Promise<{ status: number; lines: string[] }> {
  const lines: string[] = [];
  const sources = { environment: {}, argv: ["--state-dir", stateDir] };
  const status = await runVerify(sources, (line) => lines.push(line));
  return { status, lines };
}

test("finds nothing wrong with a release as it was sealed", async () => {
  expect(await verify()).toEqual({ status: 0, lines: [`${cid}  is as it should be`] });
});

test("lists what is wrong with a release, and how much has to be fetched", async () => {
  const path = join(stateDir, "releases", cid, "tree", "app");
  await chmod(path, 0o755);
  const handle = await open(path, "r+");
  await handle.write(Uint8Array.of(9), 0, 1, 100_000);
  await handle.close();
  const { status, lines } = await verify();
  expect(status).toBe(1);
  expect(lines).toContain("  app has other bytes");
  expect(lines).toContain("  1 chunks, 70000 bytes to fetch");
  expect(lines.at(-1)).toMatch(/Restart the agent/);
});
