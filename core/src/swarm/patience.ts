// How long a link may be silent before what it was asked for goes elsewhere, and before it is dropped.
// Where all answers are slow, because many share a machine or a way, that is no fault of any one link:
// moving requests about and dialing others anew makes everything slower still, until nobody gets
// anything. So patience grows with how long answers take here, up to `patienceMax` times.
import type { Millis } from "../units.ts";
import type { SwarmConfig } from "./config.ts";

/** A link is late when it takes so many times as long as answers do. */
const lateTimes = 3;
/** Weight of the newest answer. */
const newestWeight = 0.1;

export class Patience {
  readonly #config: SwarmConfig;
  /** What a request waits for its first chunk, lately, over all links. */
  #answerMs: Millis = 0;

  constructor(config: SwarmConfig) {
    this.#config = config;
  }

  /** A request got its first chunk; one that came too late counts as well. */
  answered(afterMs: Millis): void {
    this.#answerMs += (afterMs - this.#answerMs) * newestWeight;
  }

  /** Silence after which requests go elsewhere. */
  get requestMs(): Millis {
    return this.#config.requestStallMs * this.#factor;
  }

  /** Silence after which a link is dropped. */
  get linkMs(): Millis {
    return this.#config.linkStallMs * this.#factor;
  }

  get #factor(): number {
    const { requestStallMs, patienceMax } = this.#config;
    return Math.min(Math.max(1, (lateTimes * this.#answerMs) / requestStallMs), patienceMax);
  }
}
