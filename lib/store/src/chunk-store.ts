// Chunks by hash, in packs, over any blob store. A chunk is stored once, whoever brings it, and every
// byte that comes in or goes out is checked against its hash (runs not each time, see `trustedMs`). What a crash may lose is what was put
// after the last `flush`. The blob store is the truth: opening reads the rows of every pack, and the
// index in memory is rebuilt from them.
//
// Collection: a chunk goes when `isLive` denies it and nobody has counted on it lately, that is, put
// it or been told that it isn't missing since the collection before began. So an upload that asks,
// sends, flushes and asks again within one collection's interval never loses a chunk; a slower one is
// told at its last question what to send again. After opening, all chunks count as touched.
import { digest, digestBytes, digestEquals, toHex } from "@shoal/core/digest";
import { assert, ShoalError } from "@shoal/core/error";
import { chunkBytesMax } from "@shoal/core/limits";
import { mebibyte, secondMs, type Bytes, type Millis } from "@shoal/core/units";
import type { BlobInfo, BlobKey, BlobStore } from "./blob-store.ts";
import { ChunkCache } from "./chunk-cache.ts";
import { mismatchedChunk, wrongLength } from "./chunk-coding.ts";
import { ChunkIndex } from "./chunk-index.ts";
import { collectPacks, type Collected } from "./collector.ts";
import { inlineWork, type ContentWork } from "./content-pool.ts";
import { freeBytes } from "./free-bytes.ts";
import { noSlot } from "./hash-table.ts";
import { coding } from "./pack-format.ts";
import { Packs, type OpenPack, type PackOrder } from "./packs.ts";
import { RunReader } from "./run-reader.ts";

export interface ChunkStoreConfig {
  /** Raw bytes of recently read chunks that are kept in memory. */
  readonly cacheBytesMax?: Bytes;
  /** Full packs that may wait for the blob store, each in memory, before `put` waits too. */
  readonly packWritesMax?: number;
  /**
   * How long what was put or read, and right, is handed out in runs without being hashed again. Whoever
   * receives it hashes it anyway; without this a hot artifact is hashed here for each of them. 0 unless given.
   */
  readonly trustedMs?: Millis;
  /** Monotonic milliseconds. */
  readonly now?: () => Millis;
  /** Who hashes, compresses and decompresses; the caller's own thread unless given. */
  readonly work?: StoreWork;
}

export interface PutOptions {
  /** Chunks of one order, that of several uploads at once, lie together in their packs. */
  readonly order?: number;
  /** Whether the bytes are all of their memory and nobody needs them any more: they may have no length afterwards. */
  readonly isGiven?: boolean;
}

export type StoreWork = Pick<ContentWork, "threadsCount" | "encode" | "decode" | "decodeRun">;

/** Opens the chunks of a blob store. Packs that can't be read are left alone and listed in `damagedPacks`. */
export async function openChunkStore(
  blobs: BlobStore,
  config: ChunkStoreConfig = {},
): Promise<ChunkStore> {
  const store = new ChunkStore(blobs, config);
  await store.load();
  return store;
}

/** Times a read looks again for a chunk whose pack was rewritten in between. */
const readTriesMax = 3;
/** Packs whose rows are read at once when a store is opened. */
const loadsMax = 8;

export class ChunkStore {
  readonly #index: ChunkIndex = new ChunkIndex();
  readonly #packs: Packs;
  readonly #cache: ChunkCache;
  readonly #packWritesMax: number;
  readonly #work: StoreWork;
  readonly #runs: RunReader;
  readonly #now: () => Millis;
  readonly #damaged: BlobKey[] = [];
  /** Chunks that are being encoded or read, by hash in hexadecimal, so that none is done twice at once. */
  readonly #putting: Map<string, Promise<void>> = new Map();
  readonly #reading: Map<string, Promise<Uint8Array>> = new Map();
  /** Packs on their way to the blob store; they never reject, failures are kept for `flush`. */
  readonly #writes: Set<Promise<void>> = new Set();
  #filling: OpenPack | undefined;
  #failure: unknown;
  /** Chunks that were put, for their order. */
  #arrivals = 0;
  /** Rises with each collection. */
  #turn = 1;
  #collecting = false;

  constructor(blobs: BlobStore, config: ChunkStoreConfig) {
    this.#packs = new Packs(blobs);
    this.#cache = new ChunkCache(config.cacheBytesMax ?? 64 * mebibyte);
    this.#packWritesMax = config.packWritesMax ?? 1;
    this.#work = config.work ?? inlineWork;
    this.#now = config.now ?? ((): Millis => performance.now());
    this.#runs = new RunReader({
      index: this.#index,
      packs: this.#packs,
      work: this.#work,
      trustedSeconds: (config.trustedMs ?? 0) / secondMs,
      seconds: () => this.#seconds(),
    });
  }

  /** Chunks held. */
  get chunksCount(): number {
    return this.#index.size;
  }

  /** Bytes of the packs that are written. */
  get storedBytes(): Bytes {
    return this.#packs.written().reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Packs that couldn't be opened; their chunks are missing. */
  get damagedPacks(): readonly BlobKey[] {
    return this.#damaged;
  }

  has(hash: Uint8Array): boolean {
    return this.#index.find(hash) !== noSlot;
  }

  /** Of a list of hashes (32 bytes each) those that aren't held, in order. The held ones are touched. */
  missing(hashes: Uint8Array): Uint8Array {
    assert(hashes.length % digestBytes === 0, "a list of hashes is whole");
    const missing = new Uint8Array(hashes.length);
    let length = 0;
    for (let offset = 0; offset < hashes.length; offset += digestBytes) {
      const slot = this.#index.find(hashes, offset);
      if (slot !== noSlot) {
        this.#index.touch(slot, this.#turn);
        continue;
      }
      missing.set(hashes.subarray(offset, offset + digestBytes), length);
      length += digestBytes;
    }
    return missing.slice(0, length);
  }

  /**
   * Stores a chunk, unless it is held. It can be read at once and is durable after `flush`. Keeps
   * nothing of the caller's memory, unless it is given. Throws `chunk_mismatch` when the bytes have another hash. Waits
   * when the blob store is behind. Chunks of one order, that of several uploads at once, lie together in
   * their packs, in the order of the calls: so they are read together.
   */
  async put(hash: Uint8Array, bytes: Uint8Array, options: PutOptions = {}): Promise<void> {
    return this.#put(hash, bytes, { isHashed: false, ...options });
  }

  /** As `put`, of bytes that the caller has hashed itself: they aren't hashed again. */
  async putHashed(hash: Uint8Array, bytes: Uint8Array): Promise<void> {
    return this.#put(hash, bytes, { isHashed: true });
  }

  async #put(hash: Uint8Array, bytes: Uint8Array, options: AllPutOptions): Promise<void> {
    const { isHashed } = options;
    if (bytes.length < 1 || bytes.length > chunkBytesMax) throw mismatchedChunk(hash);
    const key = toHex(hash);
    for (;;) {
      const slot = this.#index.find(hash);
      if (slot !== noSlot) {
        if (!isHashed && !digestEquals(digest(bytes), hash)) throw mismatchedChunk(hash);
        this.#index.touch(slot, this.#turn);
        return;
      }
      const other = this.#putting.get(key);
      if (other === undefined) break;
      // Whatever comes of it: another's bytes may be wrong where these are right.
      await other.catch(() => {});
    }
    // Threads compress several at once, and end them in any order.
    const arrival = this.#arrivals;
    this.#arrivals += 1;
    const putting = this.#encodeAndAdd(hash.slice(), bytes, { ...options, arrival }).finally(() =>
      this.#putting.delete(key),
    );
    this.#putting.set(key, putting);
    await putting;
    while (this.#writes.size > this.#packWritesMax) await Promise.race(this.#writes);
  }

  /**
   * Makes everything durable that was put before. Rejects when a pack couldn't be written since the
   * last flush; its chunks are missing again. Several uploaders share a store: who must be sure of
   * its chunks asks `missing` after `flush`.
   */
  async flush(): Promise<void> {
    this.#seal();
    await Promise.all(this.#writes);
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure;
  }

  /**
   * The bytes of a chunk, verified; not to be changed, others may read the same. Throws
   * `chunk_missing`, or `chunk_damaged` when what is stored is wrong; the chunk is missing from then on.
   */
  async read(hash: Uint8Array): Promise<Uint8Array> {
    const key = toHex(hash);
    const cached = this.#cache.get(key);
    if (cached !== undefined) return cached;
    let reading = this.#reading.get(key);
    if (reading === undefined) {
      reading = this.#readStored(hash.slice(), key)
        .then(({ bytes }) => bytes)
        .finally(() => this.#reading.delete(key));
      this.#reading.set(key, reading);
    }
    return reading;
  }

  /**
   * Fills `into` with the chunks of a list of hashes (32 bytes each), verified. Those that lie behind each other in
   * a pack are read at once, and not kept: a run goes to a peer, who hands it on.
   */
  async readRun(hashes: Uint8Array, into: Uint8Array): Promise<void> {
    let start = 0;
    for (let offset = 0; offset < hashes.length;) {
      const run = await this.#runs.read(hashes.subarray(offset), into.subarray(start));
      if (run.count > 0) {
        start += run.bytes;
        offset += run.count * digestBytes;
        continue;
      }
      const hash = hashes.subarray(offset, offset + digestBytes);
      start += await this.#readInto(hash, into.subarray(start));
      offset += digestBytes;
    }
    if (start !== into.length) throw wrongLength();
  }

  /**
   * Drops chunks that aren't live (see the head of this file) and rewrites packs of which little is
   * left, and small ones. May run beside everything else; one at a time. `isLive` gets a view that
   * it must not keep, and may be asked about a chunk more than once.
   */
  async collect(isLive: (hash: Uint8Array) => boolean): Promise<Collected> {
    assert(!this.#collecting, "one collection at a time");
    this.#collecting = true;
    this.#turn += 1;
    const touchedFrom = this.#turn - 1;
    try {
      return await collectPacks(
        { index: this.#index, packs: this.#packs },
        (slot) => this.#index.turnOf(slot) >= touchedFrom || isLive(this.#index.hashOf(slot)),
      );
    } finally {
      this.#collecting = false;
    }
  }

  /**
   * Answers how many bytes the chunk has. One that nobody keeps is given up at once: megabytes that wait for the
   * collector make it look through everything again and again, a sixth of what an update's processor time was.
   */
  async #readInto(hash: Uint8Array, into: Uint8Array): Promise<Bytes> {
    const key = toHex(hash);
    const isAlone = !this.#cache.isOn && !this.#reading.has(key);
    const { bytes, isOwn } = isAlone
      ? await this.#readStored(hash.slice(), key)
      : { bytes: await this.read(hash), isOwn: false };
    const { length } = bytes;
    if (length > into.length) throw wrongLength();
    into.set(bytes);
    if (isOwn) freeBytes(bytes);
    return length;
  }

  /** Reads the rows of all packs; called once, by `openChunkStore`. */
  async load(): Promise<void> {
    const list = this.#packs.list();
    const loader = async (): Promise<void> => {
      for (let next = await list.next(); next.done !== true; next = await list.next()) {
        await this.#loadPack(next.value);
      }
    };
    await Promise.all(Array.from({ length: loadsMax }, loader));
  }

  async #loadPack(info: BlobInfo): Promise<void> {
    const pack = this.#packs.adopt(info);
    try {
      for (const row of await this.#packs.readRows(pack)) {
        if (!this.has(row.hash)) this.#index.add(row, pack, this.#turn);
      }
    } catch (error) {
      if (!(error instanceof ShoalError) || error.code !== "pack_invalid") throw error;
      this.#packs.abandon(pack);
      this.#damaged.push(info.key);
    }
  }

  async #encodeAndAdd(
    hash: Uint8Array,
    bytes: Uint8Array,
    { isHashed, isGiven = false, order = 0, arrival }: AllPutOptions & Pick<PackOrder, "arrival">,
  ): Promise<void> {
    const rawBytes = bytes.length;
    const chunk = await this.#work.encode(bytes, { hash: isHashed ? hash : undefined, isGiven });
    if (!digestEquals(chunk.hash, hash)) throw mismatchedChunk(hash);
    this.#filling ??= this.#packs.open();
    const row = this.#filling.add(hash, chunk, rawBytes, { order, arrival });
    this.#index.add(row, this.#filling.number, this.#turn, this.#seconds());
    if (this.#filling.isFull) this.#seal();
  }

  /** Sends the pack that is being filled on its way. */
  #seal(): void {
    const pack = this.#filling;
    if (pack === undefined) return;
    this.#filling = undefined;
    for (const row of pack.arrange()) {
      const slot = this.#index.find(row.hash);
      if (slot !== noSlot && this.#index.packOf(slot) === pack.number) {
        this.#index.move(slot, row, pack.number);
      }
    }
    const write = this.#packs
      .write(pack)
      .catch((error: unknown) => {
        this.#failure = error;
        for (const row of pack.rows) this.#index.removeAt(row.hash, pack.number, row.offset);
        this.#packs.abandon(pack.number);
      })
      .finally(() => this.#writes.delete(write));
    this.#writes.add(write);
  }

  /** Now, for the index: never 0. */
  #seconds(): number {
    return Math.floor(this.#now() / secondMs) + 1;
  }

  async #readStored(hash: Uint8Array, key: string): Promise<ReadChunk> {
    for (let tries = 0; tries < readTriesMax; tries += 1) {
      const slot = this.#index.find(hash);
      if (slot === noSlot) break;
      const place = this.#index.placeOf(slot);
      const stored = await this.#packs.readStored(place).catch((error: unknown) => {
        if (!(error instanceof ShoalError) || error.code !== "blob_missing") throw error;
        this.#index.removeAt(hash, place.pack, place.offset);
        return undefined;
      });
      // The collector moved it between the look and the read, or somebody deleted the pack.
      if (stored === undefined) continue;
      try {
        const chunk = { stored, coding: place.coding };
        const bytes = await this.#work.decode(hash, chunk, place.rawBytes);
        const isOwn = place.coding !== coding.raw;
        if (isOwn) freeBytes(stored);
        this.#cache.add(key, bytes);
        return { bytes, isOwn };
      } catch (error) {
        this.#index.removeAt(hash, place.pack, place.offset);
        throw error;
      }
    }
    throw new ShoalError("chunk_missing", `no chunk ${key}`, { blame: "environment" });
  }
}

interface AllPutOptions extends PutOptions {
  readonly isHashed: boolean;
}

interface ReadChunk {
  readonly bytes: Uint8Array;
  /** In memory of their own, which but for the cache nobody keeps. */
  readonly isOwn: boolean;
}
