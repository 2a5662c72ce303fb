// The packs of a chunk store: written ones, by number and key, and those still in memory. Knows
// who is reading which, so that none is deleted under a reader. Doesn't know which chunk lies where.
import { randomBytes } from "node:crypto";
import { StreamDigest, toHex } from "@shoal/core/digest";
import { assert, ShoalError } from "@shoal/core/error";
import { packBytesTarget } from "@shoal/core/limits";
import type { Bytes } from "@shoal/core/units";
import { listAll, type BlobInfo, type BlobKey, type BlobStore } from "./blob-store.ts";
import type { ChunkPlace } from "./chunk-index.ts";
import type { StoredChunk } from "./content-jobs.ts";
import { freeBytes } from "./free-bytes.ts";
import {
  decodePackRows,
  encodePackEnd,
  encodePackHead,
  packEndBytes,
  packHeadBytes,
  packTailBytes,
  type PackRow,
} from "./pack-format.ts";

const keyPrefix = "packs/";
/** Read from the end of a pack at first: the rows of about 700 chunks. */
const endBytesGuess = 32 * 1024;

/** Where a chunk belongs among the others of its pack: those of one order together, as they arrived. */
export interface PackOrder {
  readonly order: number;
  readonly arrival: number;
}

const unordered: PackOrder = { order: 0, arrival: 0 };

/** A pack that is being filled: its chunks are readable from memory until it is written. */
export class OpenPack {
  readonly number: number;
  #rows: PackRow[] = [];
  /** Of each row, what `add` was given. */
  readonly #orders: PackOrder[] = [];
  readonly #head: Uint8Array = encodePackHead(randomBytes(16));
  readonly #chunks: Map<number, Uint8Array> = new Map();
  #bytes: Bytes = packHeadBytes;

  constructor(number: number) {
    this.number = number;
  }

  get rows(): readonly PackRow[] {
    return this.#rows;
  }

  get isFull(): boolean {
    return this.#bytes >= packBytesTarget;
  }

  /** The chunk's memory is the pack's from then on. */
  add(
    hash: Uint8Array,
    chunk: StoredChunk,
    rawBytes: Bytes,
    order: PackOrder = unordered,
  ): PackRow {
    const storedBytes = chunk.stored.length;
    const row = { hash, offset: this.#bytes, storedBytes, rawBytes, coding: chunk.coding };
    this.#rows.push(row);
    this.#orders.push(order);
    this.#chunks.set(row.offset, chunk.stored);
    this.#bytes += storedBytes;
    return row;
  }

  /** Moves chunks of one order behind each other, as they arrived; nothing is added from then on. Answers the rows as they are now. */
  arrange(): readonly PackRow[] {
    const orders = this.#orders;
    const sorted = this.#rows
      .map((row, index) => ({ row, ...(orders[index] ?? unordered) }))
      .toSorted((a, b) => a.order - b.order || a.arrival - b.arrival);
    const before = new Map(this.#chunks);
    this.#chunks.clear();
    let offset = packHeadBytes;
    this.#rows = sorted.map(({ row }) => {
      const placed = { ...row, offset };
      const stored = before.get(row.offset);
      assert(stored !== undefined, "a row has its chunk");
      this.#chunks.set(offset, stored);
      offset += row.storedBytes;
      return placed;
    });
    return this.#rows;
  }

  /** A copy: the pack's own memory goes once it is written. */
  storedAt(offset: number): Uint8Array | undefined {
    return this.#chunks.get(offset)?.slice();
  }

  /** Gives the memory back at once; nothing is read from the pack any more. */
  free(): void {
    for (const stored of this.#chunks.values()) freeBytes(stored);
    this.#chunks.clear();
  }

  /** The whole object, in parts, and its key. */
  finish(): { readonly key: BlobKey; readonly body: readonly Uint8Array[]; readonly bytes: Bytes } {
    const end = encodePackEnd(this.#head, this.#rows);
    const body = [this.#head, ...this.#chunks.values(), end];
    const name = new StreamDigest();
    for (const part of body) name.update(part);
    return {
      key: `${keyPrefix}${toHex(name.finish())}.pack`,
      body,
      bytes: this.#bytes + end.length,
    };
  }
}

interface PackRecord {
  readonly number: number;
  /** Exactly one of `open` and `written` is there. */
  open: OpenPack | undefined;
  written: BlobInfo | undefined;
  readersCount: number;
  /** Called when the last reader leaves a pack that is to be deleted. */
  whenIdle: (() => void) | undefined;
}

export class Packs {
  readonly #blobs: BlobStore;
  readonly #records: Map<number, PackRecord> = new Map();
  #nextNumber = 0;

  constructor(blobs: BlobStore) {
    this.#blobs = blobs;
  }

  /** Every pack that is in the blob store. */
  list(): AsyncGenerator<BlobInfo> {
    return listAll(this.#blobs, keyPrefix);
  }

  open(): OpenPack {
    const pack = new OpenPack(this.#nextNumber);
    this.#add({ open: pack, written: undefined });
    return pack;
  }

  /** Takes in a pack that stands in the blob store. */
  adopt(info: BlobInfo): number {
    return this.#add({ open: undefined, written: info });
  }

  /** Writes an open pack; from then on it is read from the blob store. */
  async write(pack: OpenPack): Promise<void> {
    const { key, body, bytes } = pack.finish();
    await this.#blobs.put(key, body, { ifAbsent: true });
    const record = this.#recordOf(pack.number);
    record.written = { key, bytes };
    record.open = undefined;
    pack.free();
  }

  /** Lets go of a pack that couldn't be written or read; nothing is deleted. */
  abandon(number: number): void {
    this.#records.delete(number);
  }

  /** Size of a written pack. */
  bytesOf(number: number): Bytes {
    return this.#recordOf(number).written?.bytes ?? 0;
  }

  /** Numbers and sizes of the packs that are written and not being deleted. */
  written(): { readonly number: number; readonly bytes: Bytes }[] {
    return [...this.#records.values()].flatMap(({ number, written }) =>
      written === undefined ? [] : [{ number, bytes: written.bytes }],
    );
  }

  /** The stored bytes of a chunk, in memory of the caller's own; undefined when its pack is no longer there. */
  async readStored(place: ChunkPlace): Promise<Uint8Array | undefined> {
    const record = this.#records.get(place.pack);
    if (record === undefined) return undefined;
    if (record.open !== undefined) return record.open.storedAt(place.offset);
    const { offset, storedBytes } = place;
    return this.#reading(record, async (key) => {
      if (this.#blobs.fill !== undefined) {
        const bytes = new Uint8Array(storedBytes);
        if (await this.#blobs.fill(key, offset, bytes)) return bytes;
      }
      return this.#blobs.get(key, { offset, bytes: storedBytes });
    });
  }

  /** Fills `into` from a place of a written pack; false when that can't be done, or the pack is no longer there. */
  async fill(place: ChunkPlace, into: Uint8Array): Promise<boolean> {
    const record = this.#records.get(place.pack);
    if (record?.written === undefined) return false;
    return this.#reading(record, async (key) => {
      if (this.#blobs.fill !== undefined) return this.#blobs.fill(key, place.offset, into);
      const range = { offset: place.offset, bytes: into.length };
      const bytes = await this.#blobs.get(key, range).catch(unlessMissing);
      if (bytes?.length !== into.length) return false;
      into.set(bytes);
      return true;
    });
  }

  /** The rows of a written pack. Throws `pack_invalid`. */
  async readRows(number: number): Promise<readonly PackRow[]> {
    const record = this.#recordOf(number);
    return this.#reading(record, (key, bytes) => this.#readRows(key, bytes));
  }

  /** Deletes a written pack after its last reader. Nobody finds it from the moment of the call. */
  async retire(number: number): Promise<void> {
    const record = this.#recordOf(number);
    this.#records.delete(number);
    assert(record.written !== undefined, "only a written pack is retired");
    if (record.readersCount > 0) {
      await new Promise<void>((resolve) => {
        record.whenIdle = resolve;
      });
    }
    await this.#blobs.delete(record.written.key);
  }

  async #readRows(key: BlobKey, bytes: Bytes): Promise<readonly PackRow[]> {
    const guess = Math.min(bytes, endBytesGuess);
    const [head, tail] = await Promise.all([
      this.#blobs.get(key, { offset: 0, bytes: packHeadBytes }),
      this.#blobs.get(key, { offset: bytes - guess, bytes: guess }),
    ]);
    const endBytes = packEndBytes(tail.subarray(Math.max(0, tail.length - packTailBytes)), bytes);
    const end =
      endBytes <= tail.length
        ? tail.subarray(tail.length - endBytes)
        : await this.#blobs.get(key, { offset: bytes - endBytes, bytes: endBytes });
    return decodePackRows(head, end, bytes);
  }

  async #reading<Result>(
    record: PackRecord,
    read: (key: BlobKey, bytes: Bytes) => Promise<Result>,
  ): Promise<Result> {
    assert(record.written !== undefined, "a pack that is read from the store is written");
    record.readersCount += 1;
    try {
      return await read(record.written.key, record.written.bytes);
    } finally {
      record.readersCount -= 1;
      if (record.readersCount === 0) record.whenIdle?.();
    }
  }

  #add(pack: Pick<PackRecord, "open" | "written">): number {
    const number = this.#nextNumber;
    this.#nextNumber += 1;
    this.#records.set(number, { number, ...pack, readersCount: 0, whenIdle: undefined });
    return number;
  }

  #recordOf(number: number): PackRecord {
    const record = this.#records.get(number);
    assert(record !== undefined, `no pack ${number}`);
    return record;
  }
}

function unlessMissing(error: unknown): undefined {
  if (!(error instanceof ShoalError) || error.code !== "blob_missing") throw error;
  return undefined;
}
