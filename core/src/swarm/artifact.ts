// One artifact as its member sees it: which chunks are held, asked for or on their way to the disk, and
// which pieces are still to be asked for, rarest first. Decides nothing.
//
// Invariants: `unrequested(p)` counts the chunks of piece p that are neither held nor asked for, and p
// is listed in `rarity` exactly while it isn't zero; `offer` has exactly the pieces whose chunks are
// all held and that weren't withdrawn; a chunk that is being stored or reused counts as asked for.
import type { PieceMap } from "../content/pieces.ts";
import { assert } from "../error.ts";
import type { ArtifactCid } from "../ids.ts";
import type { Prng } from "../prng.ts";
import type { Bytes, ChunkIndex, PieceIndex } from "../units.ts";
import { bitfieldOf, clearBit, hasBit, setBit } from "./bitfield.ts";
import type { ArtifactJoined, ArtifactSlot } from "./events.ts";
import type { Peer } from "./peers.ts";
import { ownPlace, PeerNumbers } from "./peer-numbers.ts";
import { PieceRecords } from "./piece-records.ts";
import { RarityOrder } from "./rarity-order.ts";

// Of a chunk, in one byte: whether it is held, or being stored and then who sent it, and in the bits
// from `copiesShift` on how many links are asked for it now. One that is being reused is as one that this
// node was asked for itself and is storing.
const heldBit = 1;
const storingBit = 2;
const fromSeederBit = 4;
const copiesShift = 3;
const oneCopy = 1 << copiesShift;
const reusingState = oneCopy | storingBit;
/** Most links that can be asked for one chunk at once. */
const copiesMax = 255 >> copiesShift;

export class Artifact {
  readonly slot: ArtifactSlot;
  readonly cid: ArtifactCid;
  readonly pieces: PieceMap;
  readonly priority: number;
  /** Copies of each piece among live peers; lists what is still to be asked for. */
  readonly rarity: RarityOrder;
  /** Pieces that this node can serve, as they are told; `serves` says it of one. */
  readonly offer: Uint8Array;
  /** Peers that both sides know to be members, live ones and those whose bitfield is awaited. */
  readonly peers: Peer[] = [];
  /** A person stopped its download: nothing is asked for. */
  isPaused = false;
  /** What is looked at for all peers at once, and the places of the peers above, in their order. */
  readonly peerNumbers: PeerNumbers = new PeerNumbers();
  readonly peerPlaces: number[] = [];
  /** What became complete since this node joined, in that order: peers are told of it from some place on. */
  completed: Uint16Array = new Uint16Array(16);
  completedCount = 0;
  /** What still comes is of no use. */
  isLeft = false;
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
  /** On their way from elsewhere on this node's disk. */
  chunksReusing = 0;
  readonly #chunks: Uint8Array;
  readonly #records: PieceRecords;

  constructor(joined: ArtifactJoined, prng: Prng) {
    const { artifact, cid, pieces, held, reusing, priority } = joined;
    this.slot = artifact;
    this.cid = cid;
    this.pieces = pieces;
    this.priority = priority;
    let chunksMax = 0;
    for (let piece = 0; piece < pieces.count; piece += 1) {
      chunksMax = Math.max(chunksMax, pieces.chunkCount(piece));
    }
    this.#records = new PieceRecords(pieces.count, chunksMax);
    this.rarity = new RarityOrder(pieces.count, prng, this.#records);
    this.offer = bitfieldOf(pieces.count);
    this.#chunks = new Uint8Array(pieces.chunksCount);
    for (let piece = 0; piece < pieces.count; piece += 1) this.#begin(piece, held, reusing);
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
    return (this.#stateOf(chunk) & heldBit) !== 0;
  }

  /** Held, or on its way to the disk: another copy is of no use now. */
  isArrived(chunk: ChunkIndex): boolean {
    return (this.#stateOf(chunk) & (heldBit | storingBit)) !== 0;
  }

  requestedCopies(chunk: ChunkIndex): number {
    return this.#stateOf(chunk) >> copiesShift;
  }

  unrequested(piece: PieceIndex): number {
    return this.#records.unrequested(piece);
  }

  /** Whether the peer at a place offers a piece. */
  isOffered(piece: PieceIndex, place: number): boolean {
    return this.#records.isOffered(piece, place);
  }

  /** Whether this node can serve a piece. */
  serves(piece: PieceIndex): boolean {
    return this.#records.isOffered(piece, ownPlace);
  }

  /** This node can't serve a piece any more. */
  withdraw(piece: PieceIndex): void {
    clearBit(this.offer, piece);
    this.#records.clearOffered(piece, ownPlace);
  }

  /** A peer offers one piece more. */
  gainOffer(piece: PieceIndex, place: number): void {
    this.#records.setOffered(piece, place);
    this.rarity.increment(piece);
  }

  /** A peer doesn't offer a piece any more. */
  loseOffer(piece: PieceIndex, place: number): void {
    this.#records.clearOffered(piece, place);
    this.rarity.decrement(piece);
  }

  /** Answers the peer's place. */
  addPeer(peer: Peer): number {
    const place = this.peerNumbers.take();
    this.#records.widenFor(place);
    this.peers.push(peer);
    this.peerPlaces.push(place);
    return place;
  }

  /** A peer that offers nothing any more. */
  removePeer(peer: Peer): void {
    const at = this.peers.indexOf(peer);
    this.peers.splice(at, 1);
    this.peerPlaces.splice(at, 1);
    this.peerNumbers.give(peer.place);
    peer.leavePlace();
  }

  /** Notes that a piece is to be announced. */
  noteCompleted(piece: PieceIndex): void {
    const { completed, completedCount } = this;
    if (completedCount === completed.length) {
      this.completed = new Uint16Array(2 * completed.length);
      this.completed.set(completed);
    }
    this.completed[completedCount] = piece;
    this.completedCount = completedCount + 1;
  }

  /** A link is asked for a chunk. */
  take(chunk: ChunkIndex): void {
    const state = this.#stateOf(chunk);
    assert(state >> copiesShift < copiesMax, "few links are asked for the same chunk");
    this.#chunks[chunk] = state + oneCopy;
    if (state >= oneCopy || (state & heldBit) !== 0) return;
    const piece = this.pieces.pieceOf(chunk);
    const left = this.unrequested(piece) - 1;
    this.#records.setUnrequested(piece, left);
    if (left === 0) this.rarity.remove(piece);
  }

  /** A link isn't asked any more. True when the chunk has to be asked for again. */
  release(chunk: ChunkIndex): boolean {
    const state = this.#stateOf(chunk);
    assert(state >= oneCopy, "only what was asked for is given up");
    this.#chunks[chunk] = state - oneCopy;
    if (state >= 2 * oneCopy || (state & heldBit) !== 0) return false;
    const piece = this.pieces.pieceOf(chunk);
    this.#records.setUnrequested(piece, this.unrequested(piece) + 1);
    this.rarity.add(piece);
    return true;
  }

  /** A received chunk goes to the disk. */
  beginStoring(chunk: ChunkIndex, fromSeeder: boolean): void {
    const state = this.#stateOf(chunk) & ~fromSeederBit;
    this.#chunks[chunk] = state | storingBit | (fromSeeder ? fromSeederBit : 0);
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
    const state = this.#stateOf(chunk);
    if ((state & fromSeederBit) !== 0) this.bytesFromSeeders += bytes;
    else this.bytesFromPeers += bytes;
    return this.#hold(chunk, state);
  }

  /** A chunk from elsewhere on this node's disk is held. True when its piece is complete by that. */
  reuse(chunk: ChunkIndex): boolean {
    return this.#hold(chunk, this.#endReusing(chunk));
  }

  /** A chunk wasn't elsewhere on this node's disk after all: it is to be asked for. */
  failReuse(chunk: ChunkIndex): void {
    this.#chunks[chunk] = this.#endReusing(chunk);
    this.release(chunk);
  }

  /** Answers the chunk's state after that. */
  #endReusing(chunk: ChunkIndex): number {
    const state = this.#stateOf(chunk);
    assert(state === reusingState, "a chunk is reused once");
    this.chunksReusing -= 1;
    return state & ~storingBit;
  }

  #hold(chunk: ChunkIndex, state: number): boolean {
    this.#chunks[chunk] = (state | heldBit) - oneCopy;
    this.chunksHeld += 1;
    const piece = this.pieces.pieceOf(chunk);
    const missing = this.#records.missing(piece) - 1;
    this.#records.setMissing(piece, missing);
    if (missing > 0) return false;
    this.#serve(piece);
    return true;
  }

  #begin(piece: PieceIndex, held: Uint8Array, reusing: Uint8Array | undefined): void {
    const first = this.pieces.firstChunk(piece);
    const count = this.pieces.chunkCount(piece);
    let missing = 0;
    let unrequested = 0;
    for (let chunk = first; chunk < first + count; chunk += 1) {
      if (hasBit(held, chunk)) {
        this.#chunks[chunk] = heldBit;
        continue;
      }
      missing += 1;
      if (reusing !== undefined && hasBit(reusing, chunk)) this.#chunks[chunk] = reusingState;
      else unrequested += 1;
    }
    this.#records.setMissing(piece, missing);
    this.#records.setUnrequested(piece, unrequested);
    this.chunksHeld += count - missing;
    this.chunksReusing += missing - unrequested;
    if (unrequested > 0) this.rarity.add(piece);
    if (missing === 0) this.#serve(piece);
  }

  #serve(piece: PieceIndex): void {
    this.piecesHeld += 1;
    setBit(this.offer, piece);
    this.#records.setOffered(piece, ownPlace);
  }

  #endStoring(chunk: ChunkIndex): void {
    const state = this.#stateOf(chunk);
    assert((state & storingBit) !== 0, "only an accepted chunk is stored or refused");
    this.#chunks[chunk] = state & ~storingBit;
    this.bytesStoring -= this.chunkBytes(chunk);
  }

  #stateOf(chunk: ChunkIndex): number {
    return this.#chunks[chunk] as number;
  }
}
