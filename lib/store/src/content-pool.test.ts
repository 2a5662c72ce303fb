import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { digest } from "@shoal/core/digest";
import { segmentBytes } from "@shoal/core/limits";
import { Prng } from "@shoal/core/prng";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openChunkStore } from "./chunk-store.ts";
import { inlineWork, openContentPool } from "./content-pool.ts";
import { MemoryBlobs } from "./memory-blobs.ts";
import { readTree } from "./tree-reader.ts";
import { scanTree } from "./tree-scan.ts";

const words = new Prng(7);
const noise = Uint32Array.from({ length: (3 * segmentBytes) / 4 + 1234 }, () => words.nextUint32());
const content = new Uint8Array(noise.buffer);
// A stretch of one byte across a border of two segments: cuts never agree there.
content.fill(9, segmentBytes - 3_000_000, segmentBytes + 2_500_000);

describe("a content pool", () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "shoal-pool-"));
    await writeFile(join(dir, "a"), content.subarray(0, 1_000_000));
    await writeFile(join(dir, "b"), content.subarray(1_000_000));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  test.for([1, 2, 5])("of %i threads finds the chunks that one thread finds", async (threads) => {
    const scan = await scanTree(dir);
    const expected = await readTree(dir, scan, () => {});
    const work = openContentPool(threads);
    try {
      const parts: Uint8Array[] = [];
      const onChunk = async (hash: Uint8Array, bytes: Uint8Array): Promise<void> => {
        parts.push(bytes.slice());
        // Others come while this one is held; its bytes must stay as they are.
        for (let turn = 0; turn < bytes.length % 7; turn += 1) await setImmediate();
        expect(digest(bytes)).toEqual(hash);
      };
      const found = await readTree(dir, scan, onChunk, { work, chunksInFlight: 20 });
      expect(found).toEqual(expected);
      expect(Buffer.concat(parts).equals(content)).toBe(true);
    } finally {
      await work.close();
    }
  });

  test("compresses as one thread does, also what isn't shared memory", async () => {
    const work = openContentPool(2);
    try {
      for (const bytes of [10, 100_000, 400_000]) {
        const raw = content.subarray(segmentBytes - 3_000_000, segmentBytes - 3_000_000 + bytes);
        expect(await work.encode(raw)).toEqual(await inlineWork.encode(raw));
      }
    } finally {
      await work.close();
    }
  });

  test("takes memory that is given, and leaves other memory alone", async () => {
    const work = openContentPool(2);
    try {
      for (const text of [true, false]) {
        const raw = content.slice(1_000_000, 1_300_000);
        if (text) raw.fill(7, 1000);
        const hash = digest(raw);
        const kept = await work.encode(raw);
        expect(digest(raw)).toEqual(hash);
        const given = await work.encode(raw, { isGiven: true });
        expect(given).toEqual(kept);
        expect(raw.length).toBe(0);
        expect(given.stored.length < 300_000).toBe(text);
      }
    } finally {
      await work.close();
    }
  });

  test("decompresses what it compressed, and refuses what isn't that chunk", async () => {
    const work = openContentPool(2);
    try {
      const raw = new Uint8Array(300_000).map((_, index) => index >> 9);
      const hash = digest(raw);
      const { stored, ...encoded } = await work.encode(raw, { hash });
      expect(stored.length).toBeLessThan(raw.length);
      const decode = (name: Uint8Array, bytes: number, end?: number): Promise<Uint8Array> =>
        work.decode(name, { ...encoded, stored: stored.slice(0, end) }, bytes);
      expect(await decode(hash, raw.length)).toEqual(raw);
      const damaged = expect.objectContaining({ code: "chunk_damaged" });
      for (const bytes of [raw.length - 1, raw.length + 1])
        await expect(decode(hash, bytes)).rejects.toEqual(damaged);
      const other = digest(raw.subarray(1));
      await expect(decode(other, raw.length)).rejects.toEqual(damaged);
      await expect(decode(hash, raw.length, -1)).rejects.toEqual(damaged);
    } finally {
      await work.close();
    }
  });

  test("stores what is right beside what is wrong under the same name", async () => {
    const work = openContentPool(2);
    try {
      const store = await openChunkStore(new MemoryBlobs(), { work });
      const bytes = content.slice(0, 200_000);
      const wrong = content.slice(1, 200_001);
      const ends = await Promise.allSettled([
        store.put(digest(bytes), wrong),
        store.put(digest(bytes), bytes),
      ]);
      expect(ends.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
      expect(await store.read(digest(bytes))).toEqual(bytes);
    } finally {
      await work.close();
    }
  });

  test("throws what the taker of chunks throws, and leaves no file open", async () => {
    const work = openContentPool(2);
    try {
      let taken = 0;
      const onChunk = async (): Promise<void> => {
        taken += 1;
        await setImmediate();
        if (taken > 10) throw new Error("enough");
      };
      const reading = readTree(dir, await scanTree(dir), onChunk, { work, chunksInFlight: 4 });
      await expect(reading).rejects.toThrow("enough");
      expect(taken).toBeLessThan(16);
    } finally {
      await work.close();
    }
  });

  test("rejects jobs that are under way when it is closed, and later ones", async () => {
    const work = openContentPool(1);
    const jobs = [1, 2, 3].map(() => work.encode(content.slice(0, 900_000)));
    const ends = Promise.allSettled(jobs);
    await work.close();
    for (const end of await ends) expect(end.status).toBe("rejected");
    await expect(work.encode(content.slice(0, 900_000))).rejects.toMatchObject({
      code: "stopping",
    });
  });
});
