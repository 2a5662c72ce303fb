// What is kept of a node's links in fractions, times and rates, as neighboring numbers, a run for each
// link: peers.ts and window.ts give them their names. A link has a place here while it is open; places
// are given again, the lowest first.
import { gonePlace } from "./peer-numbers.ts";

/** Numbers of a link. */
export const numbersPerLink = 8;
export const progressMsAt = 0;
export const servedMsAt = 1;
export const windowBytesAt = 2;
export const windowRateAt = 3;
export const windowSinceMsAt = 4;
export const windowDeliveredAt = 5;
/** How much sooner than others it is served for being near. */
export const headStartMsAt = 6;

const placesAtFirst = 8;

export class LinkNumbers {
  #taken: Uint8Array = new Uint8Array(placesAtFirst);
  values: Float64Array = new Float64Array(placesAtFirst * numbersPerLink);
  /**
   * By place: nobody need look before whether the link is to be invited. 0 when something changed since
   * somebody looked, Infinity until something does.
   */
  uninvitedUntilMs: Float64Array = new Float64Array(placesAtFirst).fill(Infinity);
  /**
   * By place: where the numbers of its only peer are, while nothing but their count of lacked pieces can tell that it isn't
   * to be invited; `gonePlace` when somebody has to look.
   */
  inviteePlace: Int32Array = new Int32Array(placesAtFirst).fill(gonePlace);

  /** The lowest free place, with zeros in it. */
  take(): number {
    let place = 0;
    while (this.#taken[place] === 1) place += 1;
    if (place === this.#taken.length) this.#grow();
    this.#taken[place] = 1;
    this.values.fill(0, place * numbersPerLink, (place + 1) * numbersPerLink);
    this.reconsider(place);
    return place;
  }

  give(place: number): void {
    this.#taken[place] = 0;
    this.uninvitedUntilMs[place] = Infinity;
    this.inviteePlace[place] = gonePlace;
  }

  /** Whether the link is to be invited may come out otherwise than when it was last looked at. */
  reconsider(place: number): void {
    this.uninvitedUntilMs[place] = 0;
    this.inviteePlace[place] = gonePlace;
  }

  get(place: number, which: number): number {
    return this.values[place * numbersPerLink + which] as number;
  }

  set(place: number, which: number, value: number): void {
    this.values[place * numbersPerLink + which] = value;
  }

  #grow(): void {
    const { values, uninvitedUntilMs, inviteePlace } = this;
    const taken = this.#taken;
    this.#taken = new Uint8Array(2 * taken.length);
    this.#taken.set(taken);
    this.values = new Float64Array(2 * values.length);
    this.values.set(values);
    this.uninvitedUntilMs = new Float64Array(2 * taken.length).fill(Infinity);
    this.uninvitedUntilMs.set(uninvitedUntilMs);
    this.inviteePlace = new Int32Array(2 * taken.length).fill(gonePlace);
    this.inviteePlace.set(inviteePlace);
  }
}
