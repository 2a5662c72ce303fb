// Keeps the queue bounded. Counting is not done for every build: between two counts as many may come
// in as one process can take within the time, which the limit has room for.
import { ShoalError } from "@shoal/core/error";
import { buildsQueuedMax, queueCountMs } from "@shoal/core/limits";
import { countQueued } from "../db/builds.ts";
import type { Queries } from "../db/connection.ts";

export class QueueDepth {
  readonly #database: Queries;
  #counted: { readonly depth: Promise<number>; readonly untilMs: number } | null = null;

  constructor(database: Queries) {
    this.#database = database;
  }

  /** Throws `queue_full`. */
  async requireRoom(): Promise<void> {
    if (this.#counted === null || this.#counted.untilMs <= performance.now()) {
      const depth = countQueued(this.#database, buildsQueuedMax);
      this.#counted = { depth, untilMs: performance.now() + queueCountMs };
      depth.catch(() => {
        this.#counted = null;
      });
    }
    if ((await this.#counted.depth) < buildsQueuedMax) return;
    throw new ShoalError("queue_full", `${buildsQueuedMax} builds are waiting already.`, {
      blame: "environment",
      retryable: true,
      hint: "Add builders, or ask again later.",
    });
  }
}
