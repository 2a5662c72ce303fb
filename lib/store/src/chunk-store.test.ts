import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterAll, describe, expect, test } from "vitest";
import { digest } from "@shoal/core/digest";
import { chunkBytesMax, packBytesMin, packBytesTarget } from "@shoal/core/limits";
import { Prng } from "@shoal/core/prng";
import { kibibyte } from "@shoal/core/units";
import { openChunkStore, type ChunkStore } from "./chunk-store.ts";
import { openDirectoryBlobs } from "./directory-blobs.ts";
import { MemoryBlobs } from "./memory-blobs.ts";

const root = mkdtempSync(join(tmpdir(), "shoal-chunks-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Chunk {
  readonly hash: Uint8Array;
  readonly bytes: Uint8Array;
}

/** `text` compresses well, the others don't. */
function chunkOf(seed: number, length: number, text: boolean = false): Chunk {
  const prng = new Prng(seed);
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index += 1)
    bytes[index] = text ? 97 + (index % 7) + (seed % 9) : prng.below(256);
  if (text) new DataView(bytes.buffer).setUint32(0, seed);
  return { hash: digest(bytes), bytes };
}

async function putAll(store: ChunkStore, chunks: readonly Chunk[]): Promise<void> {
  await Promise.all(chunks.map(({ hash, bytes }) => store.put(hash, bytes)));
}

async function expectReadable(store: ChunkStore, chunks: readonly Chunk[]): Promise<void> {
  for (const { hash, bytes } of chunks)
    expect(Buffer.compare(await store.read(hash), bytes)).toBe(0);
}

const hashesOf = (chunks: readonly Chunk[]): Uint8Array =>
  Buffer.concat(chunks.map(({ hash }) => hash));
const keep = (chunks: readonly Chunk[]): ((hash: Uint8Array) => boolean) => {
  const live = new Set(chunks.map(({ hash }) => hash.toHex()));
  return (hash) => live.has(hash.toHex());
};
/** Twice, because what was touched since the collection before is kept. */
async function collectFully(store: ChunkStore, live: readonly Chunk[]): Promise<number> {
  const first = await store.collect(keep(live));
  const second = await store.collect(keep(live));
  return first.chunksDropped + second.chunksDropped;
}

describe("chunk store", () => {
  test("gives back chunks before and after a flush, and after opening again", async () => {
    const blobs = new MemoryBlobs();
    const store = await openChunkStore(blobs);
    const chunks = [1, 2, 3].flatMap((seed) => [
      chunkOf(seed, 70_000),
      chunkOf(seed, 70_000, true),
    ]);
    await putAll(store, chunks);
    await expectReadable(store, chunks);
    await store.flush();
    const again = await openChunkStore(blobs, { cacheBytesMax: 0 });
    expect(again.chunksCount).toBe(6);
    await expectReadable(again, chunks);
    // Half of it is text.
    expect(again.storedBytes).toBeLessThan(4 * 70_000);
  });

  test("answers which hashes are missing, in order", async () => {
    const store = await openChunkStore(new MemoryBlobs());
    const chunks = [1, 2, 3, 4].map((seed) => chunkOf(seed, 100));
    await putAll(store, [chunks[1], chunks[2]] as Chunk[]);
    const missing = store.missing(hashesOf(chunks));
    expect(missing).toEqual(new Uint8Array(hashesOf([chunks[0], chunks[3]] as Chunk[])));
    expect(store.missing(new Uint8Array(0))).toEqual(new Uint8Array(0));
    expect(() => store.missing(new Uint8Array(31))).toThrow("a list of hashes is whole");
  });

  test("stores a chunk once, however often and at once it is put", async () => {
    const blobs = new MemoryBlobs();
    const store = await openChunkStore(blobs);
    const chunk = chunkOf(9, 50_000);
    await putAll(
      store,
      Array.from({ length: 20 }, () => chunk),
    );
    await store.flush();
    await store.put(chunk.hash, chunk.bytes);
    await store.flush();
    expect(store.chunksCount).toBe(1);
    expect((await blobs.list("packs/")).items).toHaveLength(1);
    expect(store.storedBytes).toBeLessThan(51_000);
  });

  test("refuses bytes with another hash, none, and too many", async () => {
    const store = await openChunkStore(new MemoryBlobs());
    const chunk = chunkOf(1, 100);
    const large = chunkOf(2, chunkBytesMax + 1, true);
    const nothing = { hash: digest(new Uint8Array(0)), bytes: new Uint8Array(0) };
    for (const { hash, bytes } of [{ ...chunk, bytes: chunkOf(3, 100).bytes }, large, nothing]) {
      await expect(store.put(hash, bytes)).rejects.toMatchObject({
        code: "chunk_mismatch",
        blame: "remote",
      });
    }
    expect(store.chunksCount).toBe(0);
  });

  test("keeps nothing of the caller's memory", async () => {
    const store = await openChunkStore(new MemoryBlobs());
    const chunk = chunkOf(1, 1000);
    const mine = chunk.bytes.slice();
    await store.put(chunk.hash, mine);
    mine.fill(0);
    await expectReadable(store, [chunk]);
  });

  test("writes packs of a bounded size while it takes chunks in", async () => {
    const blobs = new MemoryBlobs();
    const store = await openChunkStore(blobs, { packWritesMax: 1 });
    const chunks = Array.from({ length: 42 }, (_, seed) => chunkOf(seed, chunkBytesMax));
    for (const { hash, bytes } of chunks) await store.put(hash, bytes);
    await store.flush();
    const { items } = await blobs.list("packs/");
    expect(items).toHaveLength(3);
    for (const { bytes } of items)
      expect(bytes).toBeLessThan(packBytesTarget + chunkBytesMax + 5000);
    await expectReadable(store, chunks.slice(0, 3));
  }, 60_000);

  test("says what is missing", async () => {
    const store = await openChunkStore(new MemoryBlobs());
    await expect(store.read(chunkOf(1, 10).hash)).rejects.toMatchObject({ code: "chunk_missing" });
  });

  test("reports a pack that can't be written, and its chunks are missing again", async () => {
    const folder = join(root, "unwritable");
    const store = await openChunkStore(await openDirectoryBlobs(folder));
    const chunk = chunkOf(1, 1000);
    await store.put(chunk.hash, chunk.bytes);
    rmSync(folder, { recursive: true });
    await expect(store.flush()).rejects.toThrow("ENOENT");
    expect(store.has(chunk.hash)).toBe(false);
    await store.flush();
    mkdirSync(join(folder, ".aside"), { recursive: true });
    mkdirSync(join(folder, "packs"), { recursive: true });
    await store.put(chunk.hash, chunk.bytes);
    await store.flush();
    await expectReadable(await openChunkStore(await openDirectoryBlobs(folder)), [chunk]);
  });

  test("lays what came at the same time together by its order", async () => {
    const folder = join(root, "orders");
    const store = await openChunkStore(await openDirectoryBlobs(folder), { cacheBytesMax: 0 });
    const chunks = [1, 2, 3, 4, 5, 6].map((seed) => chunkOf(seed, 5000 + seed));
    for (const [index, { hash, bytes }] of chunks.entries())
      await store.put(hash, bytes, { order: index % 2 });
    await expectReadable(store, chunks);
    await store.flush();
    await expectReadable(store, chunks);
    const [name] = readdirSync(join(folder, "packs"));
    const pack = readFileSync(join(folder, "packs", name as string));
    const together = Buffer.concat(
      [0, 2, 4, 1, 3, 5].map((index) => (chunks[index] as Chunk).bytes),
    );
    expect(pack.subarray(24, 24 + together.length).equals(together)).toBe(true);
    await expectReadable(await openChunkStore(await openDirectoryBlobs(folder)), chunks);
  });

  test("notices damage on disk, and takes the chunk again", async () => {
    const folder = join(root, "damaged");
    const store = await openChunkStore(await openDirectoryBlobs(folder), { cacheBytesMax: 0 });
    const chunks = [chunkOf(1, 5000), chunkOf(2, 5000, true), chunkOf(3, 5000)];
    for (const { hash, bytes } of chunks) await store.put(hash, bytes);
    await store.flush();
    const [name] = readdirSync(join(folder, "packs"));
    const path = join(folder, "packs", name as string);
    const bytes = readFileSync(path);
    // The first chunk begins behind the head of 24 bytes; the second, compressed, follows it.
    bytes[24 + 100] = (bytes[24 + 100] as number) ^ 1;
    bytes[24 + 5000 + 20] = (bytes[24 + 5000 + 20] as number) ^ 1;
    writeFileSync(path, bytes);
    for (const { hash } of chunks.slice(0, 2)) {
      await expect(store.read(hash)).rejects.toMatchObject({ code: "chunk_damaged" });
      expect(store.has(hash)).toBe(false);
    }
    await putAll(store, chunks.slice(0, 2));
    await store.flush();
    await expectReadable(store, chunks);
  });

  test("runs give up what they read and nobody keeps, and nothing else", async () => {
    for (const cacheBytesMax of [0, 1_000_000]) {
      const blobs = new MemoryBlobs();
      const store = await openChunkStore(blobs, { cacheBytesMax });
      const chunks = [1, 2, 3].flatMap((seed) => [
        chunkOf(seed, 90_000),
        chunkOf(seed, 90_000, true),
      ]);
      await putAll(store, chunks);
      const whole = Buffer.concat(chunks.map(({ bytes }) => bytes));
      const expectRuns = async (): Promise<void> => {
        const kept = await store.read((chunks[1] as Chunk).hash);
        // Some of them at once, as several lanes read them.
        const runs = [0, 1, 2].map(async () => {
          const into = new Uint8Array(whole.length);
          await store.readRun(hashesOf(chunks), into);
          return Buffer.compare(into, whole);
        });
        const alone = store.read((chunks[3] as Chunk).hash);
        expect(await Promise.all(runs)).toEqual([0, 0, 0]);
        expect(Buffer.compare(await alone, (chunks[3] as Chunk).bytes)).toBe(0);
        expect(Buffer.compare(kept, (chunks[1] as Chunk).bytes)).toBe(0);
        await expectReadable(store, chunks);
      };
      await expectRuns();
      await store.flush();
      await expectRuns();
    }
  });

  test("hashes what it hands out in runs again after a while, not each time", async () => {
    const folder = join(root, "trusted");
    let nowMs = 1000;
    const config = { cacheBytesMax: 0, trustedMs: 60_000, now: () => nowMs };
    const store = await openChunkStore(await openDirectoryBlobs(folder), config);
    const chunk = chunkOf(1, 5000);
    await store.put(chunk.hash, chunk.bytes);
    await store.flush();
    const path = join(folder, "packs", readdirSync(join(folder, "packs"))[0] as string);
    const pack = readFileSync(path);
    const damage = (): void => {
      pack[24 + 100] = (pack[24 + 100] as number) ^ 1;
      writeFileSync(path, pack);
    };
    const into = new Uint8Array(5000);
    damage();
    // Whoever receives it sees that it is wrong.
    await store.readRun(chunk.hash, into);
    expect(Buffer.compare(into, chunk.bytes)).not.toBe(0);
    damage();
    nowMs += 61_000;
    await store.readRun(chunk.hash, into);
    expect(Buffer.compare(into, chunk.bytes)).toBe(0);
    damage();
    nowMs += 61_000;
    await expect(store.readRun(chunk.hash, into)).rejects.toMatchObject({ code: "chunk_damaged" });
  });

  test("opens beside a pack that it can't read, and names it", async () => {
    const folder = join(root, "strange");
    const blobs = await openDirectoryBlobs(folder);
    const store = await openChunkStore(blobs);
    const chunk = chunkOf(1, 5000);
    await store.put(chunk.hash, chunk.bytes);
    await store.flush();
    await blobs.put("packs/0000.pack", [new Uint8Array(100)]);
    const again = await openChunkStore(blobs);
    expect(again.damagedPacks).toEqual(["packs/0000.pack"]);
    await expectReadable(again, [chunk]);
    await collectFully(again, [chunk]);
    expect(await blobs.stat("packs/0000.pack")).toBeDefined();
  });
});

describe("collection", () => {
  test("drops what nobody names, and keeps what was touched lately", async () => {
    const blobs = new MemoryBlobs();
    const store = await openChunkStore(blobs);
    const [live, asked, dead] = [chunkOf(1, 9000), chunkOf(2, 9000), chunkOf(3, 40_000)];
    await putAll(store, [live, asked, dead]);
    await store.flush();
    expect((await store.collect(keep([live]))).chunksDropped).toBe(0);
    store.missing(asked.hash);
    expect(await store.collect(keep([live]))).toMatchObject({
      chunksDropped: 1,
      packsDeleted: 1,
      packsWritten: 1,
    });
    expect([live, asked, dead].map(({ hash }) => store.has(hash))).toEqual([true, true, false]);
    await collectFully(store, [live]);
    expect(store.chunksCount).toBe(1);
    await expectReadable(await openChunkStore(blobs), [live]);
  });

  test("deletes a pack of which nothing is named without writing one", async () => {
    const blobs = new MemoryBlobs();
    const store = await openChunkStore(blobs);
    await putAll(store, [chunkOf(1, 9000), chunkOf(2, 9000)]);
    await store.flush();
    expect(await collectFully(store, [])).toBe(2);
    expect((await blobs.list("")).items).toEqual([]);
  });

  test("leaves a full pack alone while more than half of it is named", async () => {
    const blobs = new MemoryBlobs();
    const store = await openChunkStore(blobs);
    const chunks = Array.from({ length: 20 }, (_, seed) => chunkOf(seed, packBytesMin / 16));
    await putAll(store, chunks);
    await store.flush();
    const before = (await blobs.list("")).items;
    await collectFully(store, chunks.slice(0, 12));
    expect((await blobs.list("")).items).toEqual(before);
    // What is dead in it may still be counted on.
    expect(store.chunksCount).toBe(20);
    await collectFully(store, chunks.slice(0, 5));
    expect(store.chunksCount).toBe(5);
    expect(store.storedBytes).toBeLessThan(5.1 * (packBytesMin / 16));
    await expectReadable(store, chunks.slice(0, 5));
  });

  test("merges small packs once, and then leaves the one alone", async () => {
    const blobs = new MemoryBlobs();
    const store = await openChunkStore(blobs);
    const chunks = Array.from({ length: 10 }, (_, seed) => chunkOf(seed, 3000));
    for (const { hash, bytes } of chunks) {
      await store.put(hash, bytes);
      await store.flush();
    }
    expect(await store.collect(keep(chunks))).toMatchObject({
      packsDeleted: 10,
      packsWritten: 1,
      chunksDropped: 0,
    });
    expect(await store.collect(keep(chunks))).toMatchObject({ packsDeleted: 0, packsWritten: 0 });
    expect((await blobs.list("")).items).toHaveLength(1);
    await expectReadable(store, chunks);
    await expectReadable(await openChunkStore(blobs), chunks);
  });

  test("doesn't carry damage into a new pack", async () => {
    const folder = join(root, "carry");
    const store = await openChunkStore(await openDirectoryBlobs(folder));
    const chunks = [chunkOf(1, 5000), chunkOf(2, 5000)];
    for (const { hash, bytes } of chunks) {
      await store.put(hash, bytes);
      await store.flush();
    }
    const [name] = readdirSync(join(folder, "packs"));
    const path = join(folder, "packs", name as string);
    const bytes = readFileSync(path);
    bytes[500] = (bytes[500] as number) ^ 1;
    writeFileSync(path, bytes);
    await store.collect(keep(chunks));
    expect(store.chunksCount).toBe(1);
    expect(store.missing(hashesOf(chunks)).length).toBe(32);
  });

  test("reads of chunks that move meanwhile succeed", async () => {
    const store = await openChunkStore(new MemoryBlobs(), { cacheBytesMax: 20 * kibibyte });
    const chunks = Array.from({ length: 40 }, (_, seed) => chunkOf(seed, 4000));
    for (const { hash, bytes } of chunks) {
      await store.put(hash, bytes);
      await store.flush();
    }
    const collecting = new AbortController();
    const reader = (async () => {
      for (let round = 0; !collecting.signal.aborted; round += 1) {
        await expectReadable(store, chunks.slice(round % 30, (round % 30) + 10));
        await setImmediate();
      }
    })();
    for (let round = 0; round < 5; round += 1) {
      const extra = chunkOf(1000 + round, 4000);
      await store.put(extra.hash, extra.bytes);
      await store.flush();
      await store.collect(keep(chunks));
    }
    collecting.abort();
    await reader;
  });
});
