// Frees what dead chunks take. A pack goes when nothing in it is kept; one of which less than half is
// kept, or that is small, is rewritten together with others. Order makes it safe against crashes:
// the new pack is durable before the index names it, and the index names nothing in the old pack
// before that is deleted. Whether a chunk is kept is decided again in the same turn of the event
// loop in which it is dropped: who was told meanwhile that it is held keeps it.
import { setImmediate } from "node:timers/promises";
import { ShoalError } from "@shoal/core/error";
import { packBytesMin } from "@shoal/core/limits";
import type { Bytes } from "@shoal/core/units";
import { decodeChunk } from "./chunk-coding.ts";
import type { ChunkIndex, ChunkPlace } from "./chunk-index.ts";
import { noSlot } from "./hash-table.ts";
import type { PackRow } from "./pack-format.ts";
import type { OpenPack, Packs } from "./packs.ts";

export interface Collected {
  readonly packsDeleted: number;
  readonly packsWritten: number;
  readonly chunksDropped: number;
  /** How much smaller the store has become; below zero never. */
  readonly bytesFreed: Bytes;
}

interface Victim {
  readonly number: number;
  readonly bytes: Bytes;
  readonly rows: readonly PackRow[];
}

/** Slots looked at between two turns of the event loop: about 10 ms. */
const slotsPerTurn = 50_000;

export async function collectPacks(
  deps: { readonly index: ChunkIndex; readonly packs: Packs },
  isKept: (slot: number) => boolean,
): Promise<Collected> {
  const victims = await chooseVictims(deps, isKept);
  const collection = new Collection(deps.index, deps.packs, isKept);
  for (const victim of victims) await collection.rewrite(victim);
  return collection.finish();
}

async function chooseVictims(
  { index, packs }: { readonly index: ChunkIndex; readonly packs: Packs },
  isKept: (slot: number) => boolean,
): Promise<{ readonly number: number; readonly bytes: Bytes }[]> {
  const written = packs.written();
  const keptBytes = new Map<number, Bytes>();
  for (let slot = 0; slot < index.slotsEnd; slot += 1) {
    if (slot % slotsPerTurn === slotsPerTurn - 1) await setImmediate();
    if (!index.isUsed(slot) || !isKept(slot)) continue;
    const pack = index.packOf(slot);
    keptBytes.set(pack, (keptBytes.get(pack) ?? 0) + index.storedBytesOf(slot));
  }
  const share = (pack: { number: number; bytes: Bytes }): number =>
    (keptBytes.get(pack.number) ?? 0) / pack.bytes;
  const wasteful = written.filter((pack) => share(pack) < 0.5);
  const small = written.filter((pack) => share(pack) >= 0.5 && pack.bytes < packBytesMin);
  // A small pack by itself would be rewritten as itself.
  return small.length + wasteful.filter((pack) => share(pack) > 0).length > 1
    ? [...wasteful, ...small]
    : wasteful;
}

class Collection {
  readonly #index: ChunkIndex;
  readonly #packs: Packs;
  readonly #isKept: (slot: number) => boolean;
  /** Where kept chunks go, and where each of them was. */
  #target: OpenPack | undefined;
  #origins: ChunkPlace[] = [];
  /** Victims all of whose kept chunks are in written packs or in `#target`. */
  #emptied: Victim[] = [];
  #packsDeleted = 0;
  #packsWritten = 0;
  #chunksDropped = 0;
  #bytesFreed: Bytes = 0;

  constructor(index: ChunkIndex, packs: Packs, isKept: (slot: number) => boolean) {
    this.#index = index;
    this.#packs = packs;
    this.#isKept = isKept;
  }

  async rewrite(pack: { readonly number: number; readonly bytes: Bytes }): Promise<void> {
    const rows = await this.#packs.readRows(pack.number);
    for (const row of rows) {
      const slot = this.#slotAt(row, pack.number);
      if (slot !== noSlot && this.#isKept(slot)) await this.#copy(row, this.#index.placeOf(slot));
      if (this.#target?.isFull === true) await this.#commit();
    }
    this.#emptied.push({ ...pack, rows });
    if (this.#target === undefined) await this.#commit();
  }

  async finish(): Promise<Collected> {
    await this.#commit();
    return {
      packsDeleted: this.#packsDeleted,
      packsWritten: this.#packsWritten,
      chunksDropped: this.#chunksDropped,
      bytesFreed: Math.max(0, this.#bytesFreed),
    };
  }

  async #copy(row: PackRow, place: ChunkPlace): Promise<void> {
    const stored = await this.#packs.readStored(place);
    if (stored === undefined) return;
    try {
      // Checked, so that damage isn't carried on under a new and valid pack.
      await decodeChunk(row.hash, { stored, coding: row.coding }, row.rawBytes);
    } catch (error) {
      if (!(error instanceof ShoalError)) throw error;
      this.#index.removeAt(row.hash, place.pack, place.offset);
      return;
    }
    this.#target ??= this.#packs.open();
    this.#target.add(row.hash, { stored, coding: row.coding }, row.rawBytes);
    this.#origins.push(place);
  }

  /** Writes the target, points the index at it, and deletes the packs that nothing points at. */
  async #commit(): Promise<void> {
    const target = this.#target;
    if (target !== undefined) {
      try {
        await this.#packs.write(target);
      } catch (error) {
        this.#packs.abandon(target.number);
        throw error;
      }
      this.#target = undefined;
      this.#packsWritten += 1;
      this.#bytesFreed -= this.#packs.bytesOf(target.number);
      for (const [position, row] of target.rows.entries()) {
        const origin = this.#origins[position];
        const slot = this.#slotAt({ ...row, offset: origin?.offset ?? 0 }, origin?.pack ?? 0);
        if (slot !== noSlot) this.#index.move(slot, row, target.number);
      }
      this.#origins = [];
    }
    const emptied = this.#emptied;
    this.#emptied = [];
    for (const victim of emptied) await this.#drop(victim);
  }

  async #drop(victim: Victim): Promise<void> {
    const left = victim.rows.filter((row) => this.#slotAt(row, victim.number) !== noSlot);
    // Somebody counts on one that wasn't kept when the others were copied: next time, then.
    if (left.some((row) => this.#isKept(this.#slotAt(row, victim.number)))) return;
    for (const row of left) this.#index.removeAt(row.hash, victim.number, row.offset);
    this.#chunksDropped += left.length;
    this.#packsDeleted += 1;
    this.#bytesFreed += victim.bytes;
    await this.#packs.retire(victim.number);
  }

  /** The slot of a row's chunk if the index holds it in just this place. */
  #slotAt(row: Pick<PackRow, "hash" | "offset">, pack: number): number {
    const slot = this.#index.find(row.hash);
    if (slot === noSlot) return noSlot;
    const place = this.#index.placeOf(slot);
    return place.pack === pack && place.offset === row.offset ? slot : noSlot;
  }
}
