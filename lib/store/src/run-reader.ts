// Runs of chunks that lie behind each other in a pack, each read at once: raw ones straight to their place,
// compressed ones to memory that threads share and unpack them in. A read, a job and memory of their own for each
// chunk cost the main thread more than everything else that it does for an update.
import { digest, digestBytes, digestEquals } from "@shoal/core/digest";
import { chunkBytesMax } from "@shoal/core/limits";
import type { Bytes } from "@shoal/core/units";
import { BoundedPool } from "./bounded-pool.ts";
import type { ChunkIndex, ChunkPlace } from "./chunk-index.ts";
import type { ContentWork } from "./content-pool.ts";
import { noSlot } from "./hash-table.ts";
import { coding, type Coding } from "./pack-format.ts";
import type { Packs } from "./packs.ts";
import { makeRunBuffer, type RunBuffer } from "./run-buffer.ts";

export interface RunReaderDeps {
  readonly index: ChunkIndex;
  readonly packs: Packs;
  readonly work: Pick<ContentWork, "threadsCount" | "decodeRun">;
  /** For how long what was right is handed out without being hashed. */
  readonly trustedSeconds: number;
  /** Now, for the index: never 0. */
  readonly seconds: () => number;
}

/** How much of a list of chunks was read. */
export interface ReadRun {
  readonly count: number;
  readonly bytes: Bytes;
}

interface StoredRun {
  /** Of the first chunk. */
  readonly place: ChunkPlace;
  readonly storedBytes: readonly Bytes[];
  readonly rawBytes: readonly Bytes[];
  readonly bytes: Bytes;
}

/** What one thread unpacks at once: others have work, too, when a longer run is read. */
const unpackedBytesMax: Bytes = chunkBytesMax;
/** For each thread, so that one can be read while it unpacks the other. */
const buffersPerThread = 2;
const nothing: ReadRun = { count: 0, bytes: 0 };

export class RunReader {
  readonly #deps: RunReaderDeps;
  readonly #buffers: BoundedPool<RunBuffer>;

  constructor(deps: RunReaderDeps) {
    this.#deps = deps;
    const countMax = deps.work.threadsCount * buffersPerThread;
    this.#buffers = new BoundedPool(countMax, () => makeRunBuffer(unpackedBytesMax));
  }

  /**
   * Fills `into` with as many chunks of a list of hashes (32 bytes each), from its first on, as lie behind each other,
   * verified. None where they can't be read like that or aren't right: then each is to be read by itself.
   */
  async read(hashes: Uint8Array, into: Uint8Array): Promise<ReadRun> {
    const run = this.#find(hashes, into.length);
    if (run === undefined) return nothing;
    const part = into.subarray(0, run.bytes);
    const isRead =
      run.place.coding === coding.raw
        ? await this.#readRaw(run, hashes, part)
        : await this.#unpack(run, hashes, part);
    return isRead ? { count: run.rawBytes.length, bytes: run.bytes } : nothing;
  }

  #find(hashes: Uint8Array, bytesMax: Bytes): StoredRun | undefined {
    const storedBytes: Bytes[] = [];
    const rawBytes: Bytes[] = [];
    let first: ChunkPlace | undefined;
    let end = 0;
    let bytes = 0;
    for (let offset = 0; offset < hashes.length; offset += digestBytes) {
      const slot = this.#deps.index.find(hashes, offset);
      if (slot === noSlot) break;
      const place = this.#deps.index.placeOf(slot);
      first ??= place;
      if (storedBytes.length > 0 && !(follows(first, place) && place.offset === end)) break;
      if (bytes + place.rawBytes > this.#bytesMaxOf(first.coding, bytesMax)) break;
      end = place.offset + place.storedBytes;
      bytes += place.rawBytes;
      storedBytes.push(place.storedBytes);
      rawBytes.push(place.rawBytes);
    }
    return first === undefined || bytes === 0
      ? undefined
      : { place: first, storedBytes, rawBytes, bytes };
  }

  #bytesMaxOf(kind: Coding, bytesMax: Bytes): Bytes {
    if (kind === coding.raw) return bytesMax;
    // Without threads it would all be done in this one, at once.
    return this.#deps.work.threadsCount === 0 ? 0 : Math.min(bytesMax, unpackedBytesMax);
  }

  async #readRaw(run: StoredRun, hashes: Uint8Array, into: Uint8Array): Promise<boolean> {
    const { index, packs, seconds, trustedSeconds } = this.#deps;
    if (!(await packs.fill(run.place, into))) return false;
    const nowSeconds = seconds();
    let start = 0;
    return run.rawBytes.every((bytes, at) => {
      const offset = at * digestBytes;
      const slot = index.find(hashes, offset);
      const part = into.subarray(start, start + bytes);
      start += bytes;
      if (slot !== noSlot && nowSeconds < index.rightAtOf(slot) + trustedSeconds) return true;
      const isRight = digestEquals(digest(part), hashes.subarray(offset, offset + digestBytes));
      if (slot !== noSlot) index.setRightAt(slot, isRight ? nowSeconds : 0);
      return isRight;
    });
  }

  async #unpack(run: StoredRun, hashes: Uint8Array, into: Uint8Array): Promise<boolean> {
    const { packs, work } = this.#deps;
    const buffer = await this.#buffers.take();
    try {
      const storedBytes = run.storedBytes.reduce((sum, bytes) => sum + bytes, 0);
      if (!(await packs.fill(run.place, buffer.stored.subarray(0, storedBytes)))) return false;
      const isRight = await work.decodeRun({
        hashes: hashes.slice(0, run.rawBytes.length * digestBytes),
        storedBytes: run.storedBytes,
        rawBytes: run.rawBytes,
        memory: buffer.memory,
        storedFrom: buffer.stored.byteOffset,
        rawFrom: buffer.raw.byteOffset,
      });
      if (isRight) into.set(buffer.raw.subarray(0, run.bytes));
      return isRight;
    } finally {
      this.#buffers.give(buffer);
    }
  }
}

function follows(first: ChunkPlace, place: ChunkPlace): boolean {
  return place.pack === first.pack && place.coding === first.coding;
}
