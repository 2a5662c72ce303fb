// Against a real chunk store in memory, through a connection that breaks when the test says so.
import { digest } from "@shoal/core/digest";
import { ShoalError } from "@shoal/core/error";
import { Prng } from "@shoal/core/prng";
import { type ChunkStore, openChunkStore } from "@shoal/store/chunk-store";
import { MemoryBlobs } from "@shoal/store/memory-blobs";
import { expect, test } from "vitest";
import { type ChunkTarget, Uploader } from "./uploader.ts";

const never = new AbortController().signal;

function chunkOf(seed: number, bytes = 700_000): { hash: Uint8Array; bytes: Uint8Array } {
  const prng = new Prng(seed);
  const words = Uint32Array.from({ length: bytes / 4 }, () => prng.nextUint32());
  const content = new Uint8Array(words.buffer);
  return { hash: digest(content), bytes: content };
}

class Target implements ChunkTarget {
  readonly store: ChunkStore;
  /** What breaks next, if anything: before or after the chunks have arrived. */
  readonly faults: ("before" | "after" | "for good")[] = [];
  sentBytes = 0;
  busy = 0;
  busiest = 0;

  constructor(store: ChunkStore) {
    this.store = store;
  }

  async missing(hashes: Uint8Array): Promise<Uint8Array> {
    this.busy += 1;
    this.busiest = Math.max(this.busiest, this.busy);
    return this.store.missing(hashes);
  }

  async putChunks(chunks: Parameters<ChunkTarget["putChunks"]>[0]): Promise<{ stored: number }> {
    const fault = this.faults.shift();
    if (fault === "for good") throw new ShoalError("forbidden", "no", { blame: "remote" });
    if (fault === "before") throw broken();
    let stored = 0;
    for await (const { hash, bytes } of chunks) {
      await this.store.put(hash, bytes);
      this.sentBytes += bytes.length;
      stored += 1;
    }
    this.busy -= 1;
    if (fault === "after") throw broken();
    return { stored };
  }
}

function broken(): ShoalError {
  return new ShoalError("seeder_unreachable", "broken", { blame: "environment", retryable: true });
}

async function openTarget(): Promise<Target> {
  return new Target(await openChunkStore(new MemoryBlobs()));
}

const chunks = Array.from({ length: 40 }, (_, index) => chunkOf(index));
const allBytes = chunks.reduce((sum, chunk) => sum + chunk.bytes.length, 0);

async function upload(target: Target): Promise<number> {
  const uploader = new Uploader(target, never);
  for (const { hash, bytes } of chunks) await uploader.add(hash, bytes);
  await uploader.finish();
  return uploader.uploadedBytes;
}

test("sends what is missing and nothing else", async () => {
  const target = await openTarget();
  for (const { hash, bytes } of chunks.slice(10)) await target.store.put(hash, bytes);
  expect(await upload(target)).toBe(allBytes / 4);
  expect(target.sentBytes).toBe(allBytes / 4);
  for (const { hash } of chunks) expect(target.store.has(hash)).toBe(true);
  expect(await upload(target)).toBe(0);
});

test("sends a chunk that the artifact has many times once", async () => {
  const target = await openTarget();
  const uploader = new Uploader(target, never);
  const { hash, bytes } = chunkOf(1);
  for (let n = 0; n < 30; n += 1) await uploader.add(hash, bytes);
  await uploader.finish();
  expect(target.sentBytes).toBe(bytes.length);
});

test("keeps what it was given, whatever becomes of the reader's memory", async () => {
  const target = await openTarget();
  const uploader = new Uploader(target, never);
  for (const { hash, bytes } of chunks) {
    const memory = { hash: hash.slice(), bytes: bytes.slice() };
    await uploader.add(memory.hash, memory.bytes);
    memory.hash.fill(0);
    memory.bytes.fill(0);
  }
  await uploader.finish();
  for (const { hash } of chunks) expect(target.store.has(hash)).toBe(true);
});

test("goes on after a broken connection without sending again what arrived", async () => {
  const target = await openTarget();
  target.faults.push("after", "before");
  expect(await upload(target)).toBe(allBytes);
  expect(target.sentBytes).toBe(allBytes);
});

test("keeps only a few batches under way", async () => {
  const target = await openTarget();
  await upload(target);
  expect(target.busiest).toBeGreaterThan(1);
  expect(target.busiest).toBeLessThanOrEqual(3);
});

test("tells the reader when the seeder refuses, and stops", async () => {
  const target = await openTarget();
  target.faults.push("for good");
  await expect(upload(target)).rejects.toMatchObject({
    code: "publish_failed",
    cause: { code: "forbidden" },
  });
  expect(target.sentBytes).toBeLessThan(allBytes);
});

test("stops when it is told to", async () => {
  const target = await openTarget();
  const controller = new AbortController();
  const uploader = new Uploader(target, controller.signal);
  const { hash, bytes } = chunkOf(1);
  await uploader.add(hash, bytes);
  controller.abort(new Error("enough"));
  await expect(uploader.finish()).rejects.toThrow("enough");
});
