// Loops on one control plane at a time: each is held by a lease in the database, taken over when its
// holder is silent for `loopHeldMs`. It saves work and keeps order; nothing depends on it, because every
// round also locks what it changes.
import { loopHeldMs } from "@shoal/core/limits";
import type { Queries } from "../db/connection.ts";
import { holdLoop, releaseLoops } from "../db/loops.ts";

export class LoopLeases {
  readonly #database: Queries;
  readonly #owner: string;
  readonly #heldUntilMs = new Map<string, number>();

  /** `owner`: a UUID of this life of the process. */
  constructor(database: Queries, owner: string) {
    this.#database = database;
    this.#owner = owner;
  }

  /** Runs a round when this process has the loop; otherwise does nothing. */
  async run(name: string, round: () => unknown): Promise<void> {
    if (await this.#holds(name)) await round();
  }

  /** Gives all of them up. */
  async release(): Promise<void> {
    this.#heldUntilMs.clear();
    await releaseLoops(this.#database, this.#owner);
  }

  async #holds(name: string): Promise<boolean> {
    const startMs = performance.now();
    if ((this.#heldUntilMs.get(name) ?? 0) > startMs) return true;
    const held = await holdLoop(this.#database, name, this.#owner, loopHeldMs);
    // Asked again well before it runs out; counted from before the question.
    if (held) this.#heldUntilMs.set(name, startMs + loopHeldMs / 2);
    return held;
  }
}
