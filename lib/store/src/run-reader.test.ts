import { afterAll, describe, expect, test } from "vitest";
import { digest } from "@shoal/core/digest";
import { Prng } from "@shoal/core/prng";
import type { Bytes } from "@shoal/core/units";
import { listAll } from "./blob-store.ts";
import { openChunkStore, type ChunkStore } from "./chunk-store.ts";
import { openContentPool } from "./content-pool.ts";
import { MemoryBlobs } from "./memory-blobs.ts";

const work = openContentPool(2);
afterAll(() => work.close());

/** Counts reads; and can be told to break what is read. */
class WatchedBlobs extends MemoryBlobs {
  readsCount = 0;
  isBreaking = false;

  override async get(key: string, range?: { offset: number; bytes: Bytes }): Promise<Uint8Array> {
    this.readsCount += 1;
    const bytes = await super.get(key, range);
    const middle = bytes.length >> 1;
    if (this.isBreaking) bytes[middle] = (bytes[middle] ?? 0) ^ 1;
    return bytes;
  }
}

interface Filled {
  readonly store: ChunkStore;
  readonly blobs: WatchedBlobs;
  readonly hashes: Uint8Array;
  readonly whole: Uint8Array;
}

/** Chunks of 60 to 250 KB, put at once, so that threads end them in any order; `kinds`: one that compresses, or not. */
async function fill(kinds: string): Promise<Filled> {
  const blobs = new WatchedBlobs();
  const store = await openChunkStore(blobs, { work, cacheBytesMax: 0 });
  const prng = new Prng(7);
  const chunks = Array.from(kinds, (kind) => {
    const noise = (): number => prng.below(kind === "c" ? 4 : 256);
    return new Uint8Array(60_000 + prng.below(190_000)).map(noise);
  });
  const hashes = Buffer.concat(chunks.map((bytes) => digest(bytes)));
  await Promise.all(chunks.map((bytes) => store.put(digest(bytes), bytes)));
  await store.flush();
  blobs.readsCount = 0;
  return { store, blobs, hashes, whole: Buffer.concat(chunks) };
}

describe("a run of chunks", () => {
  test.for([
    ["cccccc", 1],
    ["rrrrrr", 1],
    ["ccrrrccr", 4],
    // More than a thread unpacks at once.
    ["cccccccccccccccccccc", 4],
  ] as const)("%s is read in %i reads", async ([kinds, readsCount]) => {
    const { store, blobs, hashes, whole } = await fill(kinds);
    const into = new Uint8Array(whole.length);
    await store.readRun(hashes, into);
    expect(Buffer.compare(into, whole)).toBe(0);
    expect(blobs.readsCount).toBe(readsCount);
  });

  test("many at once wait for memory, and each gets its own", async () => {
    const { store, hashes, whole } = await fill("ccccccc");
    const runs = Array.from({ length: 20 }, async () => {
      const into = new Uint8Array(whole.length);
      await store.readRun(hashes, into);
      return Buffer.compare(into, whole);
    });
    expect(await Promise.all(runs)).toEqual(runs.map(() => 0));
  });

  test.for(["cccc", "rrrr", "rcrc"])("%s that is damaged is refused", async (kinds) => {
    const { store, blobs, hashes, whole } = await fill(kinds);
    blobs.isBreaking = true;
    const reading = store.readRun(hashes, new Uint8Array(whole.length));
    await expect(reading).rejects.toMatchObject({ code: "chunk_damaged" });
  });

  test("a pack that somebody deleted makes its chunks missing", async () => {
    const { store, blobs, hashes, whole } = await fill("cccrr");
    for await (const { key } of listAll(blobs, "packs/")) await blobs.delete(key);
    const reading = store.readRun(hashes, new Uint8Array(whole.length));
    await expect(reading).rejects.toMatchObject({ code: "chunk_missing" });
  });
});
