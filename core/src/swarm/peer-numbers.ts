// What an artifact's member looks at for all its peers again and again, as neighboring numbers, a run for
// each peer: peers.ts gives them their names. A peer has a place here while it is a peer; places are
// given again, the lowest first, so that few peers take little room. Place `ownPlace` is this node's. Who
// is a peer no more is at `gonePlace`, where all numbers are zero for ever: what is still being sent to it
// compares it with others.
import type { Millis } from "../units.ts";

/** Numbers of a peer. */
export const numbersPerPeer = 4;
export const offeredCountAt = 0;
export const lackedCountAt = 1;
/** How many of the completed pieces it was told of. */
export const toldCountAt = 2;
export const flagsAt = 3;

export const hasOursFlag = 1;
export const hasOfferFlag = 2;
export const exhaustedFlag = 4;

export const gonePlace = 0;
export const ownPlace = 1;
const placesAtFirst = 8;

export class PeerNumbers {
  #taken: Uint8Array = new Uint8Array(placesAtFirst);
  ints: Int32Array = new Int32Array(placesAtFirst * numbersPerPeer);
  /** When haves that wait for company are due. */
  dueMs: Float64Array = new Float64Array(placesAtFirst);

  /** The lowest free place, with nothing in it. */
  take(): number {
    let place = ownPlace + 1;
    while (this.#taken[place] === 1) place += 1;
    if (place === this.#taken.length) this.#grow();
    this.#taken[place] = 1;
    this.ints.fill(0, place * numbersPerPeer, (place + 1) * numbersPerPeer);
    this.setDue(place, Infinity);
    return place;
  }

  give(place: number): void {
    this.#taken[place] = 0;
  }

  setDue(place: number, at: Millis): void {
    this.dueMs[place] = at;
  }

  #grow(): void {
    const places = 2 * this.#taken.length;
    const { ints, dueMs } = this;
    const taken = this.#taken;
    this.#taken = new Uint8Array(places);
    this.#taken.set(taken);
    this.ints = new Int32Array(places * numbersPerPeer);
    this.ints.set(ints);
    this.dueMs = new Float64Array(places);
    this.dueMs.set(dueMs);
  }
}
