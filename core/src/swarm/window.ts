// How much may be asked of a link at once. The window is what the link delivered lately within
// `windowMs`: a fast link always has something to send, and a slow one isn't given what others would
// deliver sooner. Starts at the smallest window and at most doubles with each measurement.
import type { Bytes, Millis } from "../units.ts";
import type { SwarmConfig } from "./config.ts";
import {
  type LinkNumbers,
  windowBytesAt,
  windowDeliveredAt,
  windowRateAt,
  windowSinceMsAt,
} from "./link-numbers.ts";

/** Weight of the newest measurement: two thirds of a change are seen after two of them. */
const newestWeight = 0.4;
/** A measurement takes at least this share of `windowMs`, so that one burst doesn't count as a rate. */
const measureShare = 0.3;

export class Window {
  readonly #config: SwarmConfig;
  readonly #numbers: LinkNumbers;
  readonly #place: number;

  /** At a place of a link. */
  constructor(config: SwarmConfig, numbers: LinkNumbers, place: number) {
    this.#config = config;
    this.#numbers = numbers;
    this.#place = place;
    numbers.set(place, windowBytesAt, config.windowBytesMin);
  }

  get bytes(): Bytes {
    return this.#numbers.get(this.#place, windowBytesAt);
  }

  get rateBytesPerMs(): number {
    return this.#numbers.get(this.#place, windowRateAt);
  }

  /** The link had nothing open and is asked for something: time without requests isn't measured. */
  begin(now: Millis): void {
    this.#numbers.set(this.#place, windowSinceMsAt, now);
    this.#numbers.set(this.#place, windowDeliveredAt, 0);
  }

  deliver(bytes: Bytes, now: Millis): void {
    const numbers = this.#numbers;
    const place = this.#place;
    const delivered = numbers.get(place, windowDeliveredAt) + bytes;
    numbers.set(place, windowDeliveredAt, delivered);
    const elapsedMs = now - numbers.get(place, windowSinceMsAt);
    const { windowMs, windowBytesMin, windowBytesMax } = this.#config;
    if (elapsedMs < windowMs * measureShare) return;
    const rate = delivered / elapsedMs;
    const old = this.rateBytesPerMs;
    const smoothed = old === 0 ? rate : old + (rate - old) * newestWeight;
    numbers.set(place, windowRateAt, smoothed);
    this.begin(now);
    const aim = Math.min(smoothed * windowMs, 2 * this.bytes);
    numbers.set(place, windowBytesAt, Math.min(Math.max(aim, windowBytesMin), windowBytesMax));
  }
}
