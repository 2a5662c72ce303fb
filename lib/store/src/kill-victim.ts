// A process for kill-nine.test.ts: publishes, collects, fetches and removes for ever in its working directory, and says
// on stdout what it has finished. It is killed at some moment, and started again on what it left.
import { appendFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { digest, digestEquals } from "@shoal/core/digest";
import { Prng } from "@shoal/core/prng";
import { hasBit } from "@shoal/core/swarm/bitfield";
import { openChunkStore } from "./chunk-store.ts";
import { openDirectoryBlobs } from "./directory-blobs.ts";
import { openReleaseFiles, removeReleaseFiles } from "./release-files.ts";
import { planReuse } from "./release-reuse.ts";
import { artifactOf, type Artifact } from "./sample-artifact.ts";

const chunksPerCheckpoint = 4;

/** Artifact n: half of its chunks are those of artifact n - 1. */
export function victimArtifact(label: number): Artifact {
  const chunkBytes = 20_000;
  const chunksCount = 24;
  const parts = Array.from(
    { length: chunksCount },
    (_, index) => (index % 2 === 0 ? label : label - 1) * 100 + (index >> 1),
  );
  const made = artifactOf(
    [
      { type: "file", path: "a/one", mode: 0o755, bytes: 210_000 },
      { type: "link", path: "a/two", target: "one" },
      { type: "file", path: "b", mode: 0o644, bytes: chunkBytes * chunksCount - 210_000 },
    ],
    parts.map(() => chunkBytes),
  );
  const chunks = parts.map((part) => {
    const prng = new Prng(part);
    const words = Uint32Array.from({ length: chunkBytes / 4 }, () => prng.nextUint32());
    // Every third compresses.
    return new Uint8Array((part % 3 === 0 ? words.map((word) => word & 3) : words).buffer);
  });
  const chunkHashes = Uint8Array.from(chunks.flatMap((chunk) => [...digest(chunk)]));
  return { chunks, manifest: { ...made.manifest, chunkHashes } };
}

/** The artifacts that the notes say are published and not dropped. */
export function namedIn(notes: string): Set<number> {
  const named = new Set<number>();
  for (const line of notes.split("\n").slice(0, -1)) {
    const [verb, label] = line.split(" ");
    if (verb === "published") named.add(Number(label));
    if (verb === "dropped") named.delete(Number(label));
  }
  return named;
}

async function work(folder: string): Promise<never> {
  mkdirSync(folder, { recursive: true });
  const notesPath = join(folder, "notes");
  appendFileSync(notesPath, "");
  const note = (text: string): void => appendFileSync(notesPath, `${text}\n`);
  const notes = readFileSync(notesPath, "utf8");
  const named = namedIn(notes);
  const store = await openChunkStore(await openDirectoryBlobs(join(folder, "blobs")));
  console.log("ready");
  for (let label = notes.split("\n").length; ; label += 1) {
    const { chunks, manifest } = victimArtifact(label);
    await Promise.all(chunks.map((chunk) => store.put(digest(chunk), chunk)));
    await store.flush();
    named.add(label);
    note(`published ${label}`);
    const dir = join(folder, `release-${label % 3}`);
    await removeReleaseFiles(dir);
    const files = await openReleaseFiles(dir, manifest);
    const reuse = await planReuse(files, [join(folder, `release-${(label + 2) % 3}`)]);
    let written = 0;
    const fetchAllBut = async (left: Uint8Array): Promise<void> => {
      for (const chunk of files.missingChunks()) {
        if (hasBit(left, chunk)) continue;
        await files.write(chunk, await store.read(files.hashOf(chunk)));
        written += 1;
        if (written % chunksPerCheckpoint === 0) await files.checkpoint();
      }
    };
    await Promise.all([reuse.copy(), fetchAllBut(reuse.promised)]);
    await fetchAllBut(new Uint8Array(0));
    await files.seal();
    await files.close();
    const oldest = named.values().next().value;
    if (named.size < 4 || oldest === undefined) continue;
    named.delete(oldest);
    note(`dropped ${oldest}`);
    const live = [...named].map((each) => victimArtifact(each).manifest.chunkHashes);
    await store.collect((hash) =>
      live.some((hashes) => {
        for (let at = 0; at < hashes.length; at += 32)
          if (digestEquals(hashes.subarray(at, at + 32), hash)) return true;
        return false;
      }),
    );
  }
}

if (import.meta.main) await work(".");
