// How many bytes a second may go one way, and who goes next: a token bucket for all together, and a share
// for each artifact by its weight. What is granted may overdraw the bucket by itself, and is paid back
// before the next; so over any time the rate is kept to within one grant and the bucket's depth.
//
// Shares are start-time fair queueing: each artifact's next grant has a tag, that moves on by bytes per
// weight; the smallest goes first. Who was idle starts at the present tag: idling saves nothing up.
import { assert } from "../error.ts";
import type { Bytes, Millis } from "../units.ts";

/** What a bucket saves up while nobody asks: a hundredth of what the rate allows in ten seconds. */
const depthMs = 100;

interface Ask {
  readonly id: number;
  readonly bytes: Bytes;
  readonly weight: number;
}

interface Share {
  readonly waiting: Ask[];
  /** Of the first that waits. */
  startTag: number;
}

export class Budget {
  /** Infinity: no limit. */
  #bytesPerMs: number;
  /** Negative while a grant is paid back. */
  #tokens: Bytes = 0;
  #filledMs: Millis;
  readonly #shares: Map<number, Share> = new Map();
  #presentTag = 0;
  #waitingCount = 0;

  /** `bytesPerSecond` is undefined for no limit. */
  constructor(bytesPerSecond: number | undefined, now: Millis) {
    this.#bytesPerMs = perMs(bytesPerSecond);
    this.#filledMs = now;
  }

  /** Holds from now on; what was overdrawn stays to be paid back, at the new rate. */
  setRate(bytesPerSecond: number | undefined, now: Millis): void {
    this.#fill(now);
    this.#bytesPerMs = perMs(bytesPerSecond);
    if (this.#bytesPerMs === Infinity) this.#tokens = 0;
    else this.#tokens = Math.min(this.#tokens, this.#bytesPerMs * depthMs);
  }

  get isLimited(): boolean {
    return this.#bytesPerMs !== Infinity;
  }

  /** Bytes that came without being asked for here: whoever receives learns of them afterwards. */
  spend(bytes: Bytes, now: Millis): void {
    this.#fill(now);
    if (this.isLimited) this.#tokens -= bytes;
  }

  /** How long until nothing is overdrawn. */
  waitMs(now: Millis): Millis {
    this.#fill(now);
    return this.#tokens >= 0 || !this.isLimited ? 0 : -this.#tokens / this.#bytesPerMs;
  }

  /** Somebody wants to move bytes of an artifact; `poll` grants it. The weight is above zero. */
  ask(artifact: number, ask: Ask): void {
    assert(ask.weight > 0, "a share is of something");
    this.#waitingCount += 1;
    const share = this.#shares.get(artifact);
    if (share === undefined) {
      this.#shares.set(artifact, { waiting: [ask], startTag: this.#presentTag });
      return;
    }
    if (share.waiting.length === 0) share.startTag = Math.max(share.startTag, this.#presentTag);
    share.waiting.push(ask);
  }

  /** The id of the next one who may go, until there is none for now. */
  poll(now: Millis): number | undefined {
    if (this.#waitingCount === 0 || this.waitMs(now) > 0) return undefined;
    let best: Share | undefined;
    for (const share of this.#shares.values()) {
      if (share.waiting.length === 0) continue;
      if (best === undefined || share.startTag < best.startTag) best = share;
    }
    const ask = best?.waiting.shift();
    if (best === undefined || ask === undefined) return undefined;
    this.#waitingCount -= 1;
    this.#presentTag = best.startTag;
    best.startTag += ask.bytes / ask.weight;
    if (this.isLimited) this.#tokens -= ask.bytes;
    return ask.id;
  }

  /** When to poll again; undefined while nobody waits. */
  nextDeadline(now: Millis): Millis | undefined {
    return this.#waitingCount === 0 ? undefined : now + this.waitMs(now);
  }

  /** An artifact was left; nobody waits for it any more. */
  forget(artifact: number): void {
    this.#waitingCount -= this.#shares.get(artifact)?.waiting.length ?? 0;
    this.#shares.delete(artifact);
  }

  #fill(now: Millis): void {
    const elapsedMs = Math.max(0, now - this.#filledMs);
    this.#filledMs = Math.max(now, this.#filledMs);
    if (!this.isLimited) return;
    const depth = this.#bytesPerMs * depthMs;
    this.#tokens = Math.min(depth, this.#tokens + elapsedMs * this.#bytesPerMs);
  }
}

function perMs(bytesPerSecond: number | undefined): number {
  return bytesPerSecond === undefined ? Infinity : bytesPerSecond / 1000;
}
