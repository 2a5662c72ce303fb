// Whose turn it is to be asked, of the hosts that have room: ask-limit.ts says how many are asked at once. The others
// wait in the order in which they invited. A host that takes longer than usual for what it was asked for doesn't
// keep others from their turn: slow ones would take all turns, as they would take all slots of uploads.
import type { Bytes, Millis } from "../units.ts";
import { AskLimit } from "./ask-limit.ts";
import type { SwarmConfig } from "./config.ts";
import type { Link } from "./peers.ts";
import { removeAt } from "./remove-at.ts";

/** Slow is who takes so many times as long as usual. */
const slowTimes = 3;
/** Weight of the newest request in what is usual. */
const newestWeight = 0.1;

export class Turns {
  readonly #limit: AskLimit;
  /** Hosts that were asked for something that is still to come. */
  readonly #asked: Link[] = [];
  readonly #waiting: Link[] = [];
  /** What a request takes lately, from when its host had nothing else to do for us. */
  #usualMs: Millis = 0;

  constructor(config: SwarmConfig) {
    this.#limit = new AskLimit(config);
  }

  /** Whether a host may be asked beside those that are; one that may not waits for its turn. */
  has(link: Link, now: Millis): boolean {
    if (this.#takenCount(now) < this.#limit.hosts) return true;
    this.#limit.bind();
    if (!link.isWaiting) this.#waiting.push(link);
    link.isWaiting = true;
    return false;
  }

  /**
   * The first of those that wait, who waits no more, once half of the turns are free. Were it asked as soon as one is,
   * uploads would come to an end one by one, and no two hosts would ever be asked at a time.
   */
  next(now: Millis): Link | undefined {
    const [first] = this.#waiting;
    if (first === undefined || this.#takenCount(now) > this.#limit.hosts / 2) return undefined;
    this.leave(first);
    return first;
  }

  /** When one of those that are asked is slow from then on; undefined when nobody waits for that. */
  dueMs(now: Millis): Millis | undefined {
    if (this.#waiting.length === 0) return undefined;
    let dueMs: Millis | undefined;
    for (const link of this.#asked) {
      const slowMs = this.#slowMs(link);
      if (slowMs > now && (dueMs === undefined || slowMs < dueMs)) dueMs = slowMs;
    }
    return dueMs === Infinity ? undefined : dueMs;
  }

  /** A host with nothing open is asked for something. */
  begin(link: Link, now: Millis): void {
    link.turnMs = now;
    this.#asked.push(link);
  }

  /** A host has sent all that one request asked for. */
  answered(link: Link, now: Millis): void {
    const tookMs = now - link.turnMs;
    const usual = this.#usualMs;
    const counted = usual === 0 ? tookMs : Math.min(tookMs, slowTimes * usual);
    this.#usualMs = usual + (counted - usual) * (usual === 0 ? 1 : newestWeight);
    link.turnMs = now;
  }

  /** A host has nothing open any more. */
  end(link: Link): void {
    removeAt(this.#asked, this.#asked.indexOf(link));
  }

  /** Bytes have come, from whomever. */
  deliver(bytes: Bytes, now: Millis): void {
    this.#limit.deliver(bytes, now);
  }

  /** It doesn't wait any more. */
  leave(link: Link): void {
    if (link.isWaiting) removeAt(this.#waiting, this.#waiting.indexOf(link));
    link.isWaiting = false;
  }

  #takenCount(now: Millis): number {
    let count = 0;
    for (const link of this.#asked) if (this.#slowMs(link) > now) count += 1;
    return count;
  }

  #slowMs({ turnMs }: Link): Millis {
    return this.#usualMs === 0 ? Infinity : turnMs + slowTimes * this.#usualMs;
  }
}
