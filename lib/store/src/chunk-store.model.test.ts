// Uploads, reads, flushes and collections in any order and at once, over a store that answers late:
// a chunk that is named is always there, and whatever was flushed is there after a crash at any write.
import fc from "fast-check";
import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { digest } from "@shoal/core/digest";
import { Prng } from "@shoal/core/prng";
import type { BlobInfo, BlobKey, BlobPage, BlobStore } from "./blob-store.ts";
import { openChunkStore, type ChunkStore } from "./chunk-store.ts";
import { MemoryBlobs } from "./memory-blobs.ts";

/** A memory store that lets others go first, and remembers what was there after each change. */
class LateBlobs implements BlobStore {
  readonly #inner: MemoryBlobs = new MemoryBlobs();
  readonly #prng: Prng;
  readonly #now: Map<BlobKey, Uint8Array> = new Map();
  readonly #onChange: (blobs: ReadonlyMap<BlobKey, Uint8Array>) => void;

  constructor(seed: number, onChange: (blobs: ReadonlyMap<BlobKey, Uint8Array>) => void) {
    this.#prng = new Prng(seed);
    this.#onChange = onChange;
  }

  async put(
    key: BlobKey,
    body: readonly Uint8Array[],
    options?: { ifAbsent?: boolean },
  ): Promise<boolean> {
    await this.#wait();
    const written = await this.#inner.put(key, body, options);
    if (written) this.#now.set(key, Buffer.concat(body));
    this.#onChange(new Map(this.#now));
    await this.#wait();
    return written;
  }

  async get(
    key: BlobKey,
    range?: { readonly offset: number; readonly bytes: number },
  ): Promise<Uint8Array> {
    await this.#wait();
    return this.#inner.get(key, range);
  }

  async stat(key: BlobKey): Promise<BlobInfo | undefined> {
    return this.#inner.stat(key);
  }

  async list(prefix: string, options?: { readonly after?: BlobKey }): Promise<BlobPage> {
    return this.#inner.list(prefix, options);
  }

  async delete(key: BlobKey): Promise<void> {
    await this.#wait();
    await this.#inner.delete(key);
    this.#now.delete(key);
    this.#onChange(new Map(this.#now));
    await this.#wait();
  }

  async #wait(): Promise<void> {
    for (let turns = this.#prng.below(10); turns > 0; turns -= 1) await setImmediate();
  }
}

/** SLOW=1 makes it 2000 histories instead of 30. */
const isSlow = process.env["SLOW"] === "1";
const chunksCount = 6;
const chunks = Array.from({ length: chunksCount }, (_, seed) => {
  const prng = new Prng(seed);
  const bytes = Uint8Array.from({ length: 300 + seed * 40 }, () =>
    prng.below(seed % 2 === 0 ? 256 : 3),
  );
  return { hash: digest(bytes), bytes, name: digest(bytes).toHex() };
});
const chunkAt = (index: number): (typeof chunks)[number] =>
  chunks[index] as (typeof chunks)[number];

type Step =
  | { readonly type: "publish"; readonly artifact: number; readonly parts: readonly number[] }
  | { readonly type: "unpublish" | "collect" | "read" | "reopen"; readonly artifact: number };

/** What must be true at each moment: artifacts whose every chunk was held, flushed and held again. */
class Model {
  readonly named: Map<number, readonly number[]> = new Map();
  readonly crashes: {
    readonly blobs: ReadonlyMap<BlobKey, Uint8Array>;
    readonly parts: ReadonlySet<number>;
  }[] = [];

  readonly isLive = (hash: Uint8Array): boolean => {
    const name = hash.toHex();
    return [...this.liveParts()].some((part) => chunkAt(part).name === name);
  };

  liveParts(): Set<number> {
    return new Set([...this.named.values()].flat());
  }
}

async function publish(
  store: ChunkStore,
  model: Model,
  artifact: number,
  parts: readonly number[],
): Promise<void> {
  const hashes = Buffer.concat(parts.map((part) => chunkAt(part).hash));
  // As a builder does: ask, send, flush, and once more for what went in between.
  for (let round = 0; round < 10; round += 1) {
    const missing = store.missing(hashes);
    if (missing.length === 0) {
      await store.flush();
      if (store.missing(hashes).length === 0) {
        model.named.set(artifact, parts);
        return;
      }
    }
    for (const part of parts) {
      const { hash, bytes } = chunkAt(part);
      if (!store.has(hash)) await store.put(hash, bytes);
    }
  }
  throw new Error("ten rounds weren't enough");
}

async function readNamed(store: ChunkStore, model: Model, artifact: number): Promise<void> {
  const parts = model.named.get(artifact) ?? [];
  for (const part of parts) {
    if (model.named.get(artifact) !== parts) return;
    expect(Buffer.compare(await store.read(chunkAt(part).hash), chunkAt(part).bytes)).toBe(0);
  }
}

test(
  "no named chunk is ever lost, also not by a crash",
  async () => {
    const parts = fc.uniqueArray(fc.integer({ min: 0, max: chunksCount - 1 }), {
      minLength: 1,
      maxLength: 6,
    });
    const artifact = fc.integer({ min: 0, max: 2 });
    const step: fc.Arbitrary<Step> = fc.oneof(
      fc.record({ type: fc.constant("publish" as const), artifact, parts }),
      fc.record({
        type: fc.constantFrom(
          "unpublish",
          "unpublish",
          "collect",
          "collect",
          "collect",
          "read",
          "reopen",
        ),
        artifact,
      }),
    );
    // Steps of one group run at once; the next group waits for it.
    const groups = fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), {
      minLength: 1,
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(groups, fc.integer(), async (plan, seed) => {
        const model = new Model();
        const blobs = new LateBlobs(seed, (now) =>
          model.crashes.push({ blobs: now, parts: model.liveParts() }),
        );
        const late = new Prng(seed ^ 1);
        let store = await openChunkStore(blobs, { cacheBytesMax: 700 });
        for (const group of plan) {
          let isCollecting = false;
          if (group.some(({ type }) => type === "reopen")) store = await openChunkStore(blobs);
          await Promise.all(
            group.map(async (item) => {
              // So that a step also begins in the middle of a longer one.
              for (let turns = late.below(40); turns > 0; turns -= 1) await setImmediate();
              if (item.type === "publish") await publish(store, model, item.artifact, item.parts);
              if (item.type === "unpublish") model.named.delete(item.artifact);
              if (item.type === "read") await readNamed(store, model, item.artifact);
              if (item.type === "collect" && !isCollecting) {
                isCollecting = true;
                await store.collect(model.isLive);
              }
            }),
          );
          for (const name of model.named.keys()) await readNamed(store, model, name);
        }
        for (const crash of model.crashes) {
          const after = new MemoryBlobs();
          for (const [key, bytes] of crash.blobs) await after.put(key, [bytes]);
          const opened = await openChunkStore(after);
          expect(opened.damagedPacks).toEqual([]);
          for (const part of crash.parts) {
            expect(Buffer.compare(await opened.read(chunkAt(part).hash), chunkAt(part).bytes)).toBe(
              0,
            );
          }
        }
      }),
      { numRuns: isSlow ? 2000 : 30 },
    );
  },
  isSlow ? 20 * 60_000 : 60_000,
);
