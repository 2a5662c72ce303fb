// How much may be asked of a link at once. The window is what the link delivered lately within
// `windowMs`: a fast link always has something to send, and a slow one isn't given what others would
// deliver sooner. Starts at the smallest window and at most doubles with each measurement.
import type { Bytes, Millis } from "../units.ts";
import type { SwarmConfig } from "./config.ts";

/** Weight of the newest measurement: two thirds of a change are seen after two of them. */
const newestWeight = 0.4;
/** A measurement takes at least this share of `windowMs`, so that one burst doesn't count as a rate. */
const measureShare = 0.3;

export class Window {
  readonly #config: SwarmConfig;
  #bytes: Bytes;
  #rateBytesPerMs = 0;
  #sinceMs: Millis = 0;
  #delivered: Bytes = 0;

  constructor(config: SwarmConfig) {
    this.#config = config;
    this.#bytes = config.windowBytesMin;
  }

  get bytes(): Bytes {
    return this.#bytes;
  }

  get rateBytesPerMs(): number {
    return this.#rateBytesPerMs;
  }

  /** The link had nothing open and is asked for something: time without requests isn't measured. */
  begin(now: Millis): void {
    this.#sinceMs = now;
    this.#delivered = 0;
  }

  deliver(bytes: Bytes, now: Millis): void {
    this.#delivered += bytes;
    const elapsedMs = now - this.#sinceMs;
    if (elapsedMs < this.#config.windowMs * measureShare) return;
    const rate = this.#delivered / elapsedMs;
    const old = this.#rateBytesPerMs;
    this.#rateBytesPerMs = old === 0 ? rate : old + (rate - old) * newestWeight;
    this.begin(now);
    const { windowMs, windowBytesMin, windowBytesMax } = this.#config;
    const aim = Math.min(this.#rateBytesPerMs * windowMs, 2 * this.#bytes);
    this.#bytes = Math.min(Math.max(aim, windowBytesMin), windowBytesMax);
  }
}
