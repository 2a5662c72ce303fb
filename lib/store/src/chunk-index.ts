// Which chunk lies where, in memory: a hash table with columns. About 65 bytes a chunk.
import { HashTable, noSlot } from "./hash-table.ts";
import type { Coding, PackRow } from "./pack-format.ts";

/** Where a chunk's stored bytes are. */
export interface ChunkPlace {
  readonly pack: number;
  readonly offset: number;
  readonly storedBytes: number;
  readonly rawBytes: number;
  readonly coding: Coding;
}

export class ChunkIndex {
  readonly #table: HashTable = new HashTable();
  #packs: Uint32Array<ArrayBuffer> = new Uint32Array(this.#table.capacity);
  #offsets: Uint32Array<ArrayBuffer> = new Uint32Array(this.#table.capacity);
  #storedBytes: Uint32Array<ArrayBuffer> = new Uint32Array(this.#table.capacity);
  #rawBytes: Uint32Array<ArrayBuffer> = new Uint32Array(this.#table.capacity);
  #codings: Uint8Array<ArrayBuffer> = new Uint8Array(this.#table.capacity);
  /** When the stored bytes were known to be right last, in seconds of the caller's clock; 0 for never. */
  #rightAt: Uint32Array<ArrayBuffer> = new Uint32Array(this.#table.capacity);
  /** The turn in which somebody last counted on the chunk; `free` marks slots that aren't in use. */
  #turns: Uint32Array<ArrayBuffer> = new Uint32Array(this.#table.capacity).fill(free);

  get size(): number {
    return this.#table.size;
  }

  /** Slots are below this; `isUsed` tells which hold a chunk. */
  get slotsEnd(): number {
    return this.#table.slotsEnd;
  }

  find(hash: Uint8Array, offset: number = 0): number {
    return this.#table.find(hash, offset);
  }

  isUsed(slot: number): boolean {
    return this.#turns[slot] !== free;
  }

  hashOf(slot: number): Uint8Array {
    return this.#table.hashOf(slot);
  }

  placeOf(slot: number): ChunkPlace {
    return {
      pack: this.#packs[slot] as number,
      offset: this.#offsets[slot] as number,
      storedBytes: this.#storedBytes[slot] as number,
      rawBytes: this.#rawBytes[slot] as number,
      coding: this.#codings[slot] as Coding,
    };
  }

  packOf(slot: number): number {
    return this.#packs[slot] as number;
  }

  storedBytesOf(slot: number): number {
    return this.#storedBytes[slot] as number;
  }

  turnOf(slot: number): number {
    return this.#turns[slot] as number;
  }

  touch(slot: number, turn: number): void {
    this.#turns[slot] = turn;
  }

  rightAtOf(slot: number): number {
    return this.#rightAt[slot] as number;
  }

  setRightAt(slot: number, seconds: number): void {
    this.#rightAt[slot] = seconds;
  }

  /** Adds a chunk that isn't there yet; `rightAt` is 0 when nobody has looked at its bytes. */
  add(row: PackRow, pack: number, turn: number, rightAt: number = 0): void {
    const slot = this.#table.add(row.hash);
    this.#grow();
    this.#turns[slot] = turn;
    this.#rightAt[slot] = rightAt;
    this.move(slot, row, pack);
  }

  /** The chunk lies elsewhere from now on. */
  move(slot: number, row: PackRow, pack: number): void {
    this.#packs[slot] = pack;
    this.#offsets[slot] = row.offset;
    this.#storedBytes[slot] = row.storedBytes;
    this.#rawBytes[slot] = row.rawBytes;
    this.#codings[slot] = row.coding;
  }

  /** Forgets a chunk if it is held in just this place. */
  removeAt(hash: Uint8Array, pack: number, offset: number): void {
    const slot = this.#table.find(hash);
    if (slot === noSlot || this.#packs[slot] !== pack || this.#offsets[slot] !== offset) return;
    this.#table.remove(slot);
    this.#turns[slot] = free;
  }

  #grow(): void {
    const { capacity } = this.#table;
    const before = this.#packs.length;
    if (before >= capacity) return;
    const wide = capacity * 4;
    this.#packs = new Uint32Array(this.#packs.buffer.transfer(wide));
    this.#offsets = new Uint32Array(this.#offsets.buffer.transfer(wide));
    this.#storedBytes = new Uint32Array(this.#storedBytes.buffer.transfer(wide));
    this.#rawBytes = new Uint32Array(this.#rawBytes.buffer.transfer(wide));
    this.#rightAt = new Uint32Array(this.#rightAt.buffer.transfer(wide));
    this.#turns = new Uint32Array(this.#turns.buffer.transfer(wide)).fill(free, before);
    this.#codings = new Uint8Array(this.#codings.buffer.transfer(capacity));
  }
}

const free = 0xffff_ffff;
