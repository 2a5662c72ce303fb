// One artifact as its member sees it: which chunks are held, asked for or on their way to the disk, and
// which pieces are still to be asked for, rarest first. Decides nothing.
//
// Invariants: `unrequested(p)` counts the chunks of piece p that are neither held nor asked for, and p
// is listed in `rarity` exactly while it isn't zero; `offer` has exactly the pieces whose chunks are
// all held and that weren't withdrawn; a chunk that is being stored counts as asked for.
import type { PieceMap } from "../content/pieces.ts";
import { assert } from "../error.ts";
import type { ArtifactCid } from "../ids.ts";
import type { Prng } from "../prng.ts";
import type { Bytes, ChunkIndex, PieceIndex } from "../units.ts";
import { bitfieldOf, clearBit, hasBit, setBit } from "./bitfield.ts";
import type { ArtifactJoined, ArtifactSlot } from "./events.ts";
import type { Peer } from "./peers.ts";
import { RarityOrder } from "./rarity-order.ts";

export class Artifact {
  readonly slot: ArtifactSlot;
  readonly cid: ArtifactCid;
  readonly pieces: PieceMap;
  readonly priority: number;
  /** Copies of each piece among live peers; lists what is still to be asked for. */
  readonly rarity: RarityOrder;
  /** Pieces that this node can serve. */
  readonly offer: Uint8Array;
  /** Peers that both sides know to be members, live ones and those whose bitfield is awaited. */
  readonly peers: Peer[] = [];
  /** A person stopped its download: nothing is asked for. */
  isPaused = false;
  piecesHeld = 0;
  chunksHeld = 0;
  bytesFromSeeders: Bytes = 0;
  bytesFromPeers: Bytes = 0;
  bytesRefused: Bytes = 0;
  bytesDiscarded: Bytes = 0;
  bytesSent: Bytes = 0;
  /** Asked of hosts and neither arrived nor given up: while it isn't zero, hosts deliver. */
  bytesOpenAtHosts: Bytes = 0;
  /** Accepted and not yet stored. */
  bytesStoring: Bytes = 0;
  readonly #held: Uint8Array;
  readonly #storing: Uint8Array;
  /** Of chunks being stored: whether a seeder sent them. */
  readonly #fromSeeder: Uint8Array;
  /** How many links are asked for a chunk now. */
  readonly #requested: Uint8Array;
  readonly #unrequested: Uint32Array;
  readonly #missing: Uint32Array;

  constructor({ artifact, cid, pieces, held, priority }: ArtifactJoined, prng: Prng) {
    this.slot = artifact;
    this.cid = cid;
    this.pieces = pieces;
    this.priority = priority;
    this.rarity = new RarityOrder(pieces.count, prng);
    this.offer = bitfieldOf(pieces.count);
    this.#held = bitfieldOf(pieces.chunksCount);
    this.#storing = bitfieldOf(pieces.chunksCount);
    this.#fromSeeder = bitfieldOf(pieces.chunksCount);
    this.#requested = new Uint8Array(pieces.chunksCount);
    this.#unrequested = new Uint32Array(pieces.count);
    this.#missing = new Uint32Array(pieces.count);
    for (let piece = 0; piece < pieces.count; piece += 1) this.#begin(piece, held);
  }

  get isComplete(): boolean {
    return this.chunksHeld === this.pieces.chunksCount;
  }

  /** Whether somebody offers a piece that is still to be asked for. */
  get isAskable(): boolean {
    const { rarity } = this;
    return rarity.size > 0 && rarity.copies(rarity.at(rarity.size - 1)) > 0;
  }

  chunkBytes(chunk: ChunkIndex): Bytes {
    return this.pieces.chunkOffset(chunk + 1) - this.pieces.chunkOffset(chunk);
  }

  isHeld(chunk: ChunkIndex): boolean {
    return hasBit(this.#held, chunk);
  }

  /** Held, or on its way to the disk: another copy is of no use now. */
  isArrived(chunk: ChunkIndex): boolean {
    return hasBit(this.#held, chunk) || hasBit(this.#storing, chunk);
  }

  requestedCopies(chunk: ChunkIndex): number {
    return this.#requested[chunk] as number;
  }

  unrequested(piece: PieceIndex): number {
    return this.#unrequested[piece] as number;
  }

  /** A link is asked for a chunk. */
  take(chunk: ChunkIndex): void {
    const copies = this.requestedCopies(chunk);
    this.#requested[chunk] = copies + 1;
    if (copies > 0 || this.isHeld(chunk)) return;
    const piece = this.pieces.pieceOf(chunk);
    const left = this.unrequested(piece) - 1;
    this.#unrequested[piece] = left;
    if (left === 0) this.rarity.remove(piece);
  }

  /** A link isn't asked any more. True when the chunk has to be asked for again. */
  release(chunk: ChunkIndex): boolean {
    const copies = this.requestedCopies(chunk);
    assert(copies > 0, "only what was asked for is given up");
    this.#requested[chunk] = copies - 1;
    if (copies > 1 || this.isHeld(chunk)) return false;
    const piece = this.pieces.pieceOf(chunk);
    this.#unrequested[piece] = this.unrequested(piece) + 1;
    this.rarity.add(piece);
    return true;
  }

  /** A received chunk goes to the disk. */
  beginStoring(chunk: ChunkIndex, fromSeeder: boolean): void {
    setBit(this.#storing, chunk);
    if (fromSeeder) setBit(this.#fromSeeder, chunk);
    else clearBit(this.#fromSeeder, chunk);
    this.bytesStoring += this.chunkBytes(chunk);
  }

  /** An accepted chunk was refused. True when it has to be asked for again. */
  refuse(chunk: ChunkIndex): boolean {
    this.#endStoring(chunk);
    this.bytesRefused += this.chunkBytes(chunk);
    return this.release(chunk);
  }

  /** An accepted chunk is held. True when its piece is complete by that. */
  store(chunk: ChunkIndex): boolean {
    this.#endStoring(chunk);
    const bytes = this.chunkBytes(chunk);
    if (hasBit(this.#fromSeeder, chunk)) this.bytesFromSeeders += bytes;
    else this.bytesFromPeers += bytes;
    setBit(this.#held, chunk);
    this.#requested[chunk] = this.requestedCopies(chunk) - 1;
    this.chunksHeld += 1;
    const piece = this.pieces.pieceOf(chunk);
    const missing = (this.#missing[piece] as number) - 1;
    this.#missing[piece] = missing;
    if (missing > 0) return false;
    this.piecesHeld += 1;
    setBit(this.offer, piece);
    return true;
  }

  #begin(piece: PieceIndex, held: Uint8Array): void {
    const first = this.pieces.firstChunk(piece);
    const count = this.pieces.chunkCount(piece);
    let missing = 0;
    for (let chunk = first; chunk < first + count; chunk += 1) {
      if (hasBit(held, chunk)) setBit(this.#held, chunk);
      else missing += 1;
    }
    this.#missing[piece] = missing;
    this.#unrequested[piece] = missing;
    this.chunksHeld += count - missing;
    if (missing > 0) {
      this.rarity.add(piece);
    } else {
      this.piecesHeld += 1;
      setBit(this.offer, piece);
    }
  }

  #endStoring(chunk: ChunkIndex): void {
    assert(hasBit(this.#storing, chunk), "only an accepted chunk is stored or refused");
    clearBit(this.#storing, chunk);
    this.bytesStoring -= this.chunkBytes(chunk);
  }
}
