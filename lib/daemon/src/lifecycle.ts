// Ordered stop: what was started last is stopped first, each step under a deadline, once. A step
// that fails or is late is logged and doesn't keep the others from stopping.
import { ShoalError } from "@shoal/core/error";
import { stopStepMsMax } from "@shoal/core/limits";
import type { Log } from "./log.ts";

interface Step {
  readonly name: string;
  readonly stop: () => unknown;
  readonly deadlineMs: number;
}

export class Lifecycle {
  readonly #log: Pick<Log, "debug" | "error">;
  readonly #steps: Step[] = [];
  readonly #controller: AbortController = new AbortController();
  #stopping: Promise<boolean> | undefined;

  constructor(deps: { readonly log: Pick<Log, "debug" | "error"> }) {
    this.#log = deps.log;
  }

  /** Aborted when the stop begins. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /**
   * Adds something to stop. When the stop has already begun it is stopped at once, so that what was
   * started during a stop doesn't stay.
   */
  defer(name: string, stop: () => unknown, deadlineMs: number = stopStepMsMax): void {
    this.#steps.push({ name, stop, deadlineMs });
    if (this.#stopping !== undefined)
      this.#stopping = this.#stopping.then(async (clean) => (await this.#drain()) && clean);
  }

  /** Stops everything, last added first. Resolves to whether every step was done in time; never rejects. */
  async stop(): Promise<boolean> {
    if (this.#stopping === undefined) {
      this.#stopping = Promise.resolve().then(() => this.#drain());
      this.#controller.abort(
        new ShoalError("stopping", "The process is stopping.", { blame: "local" }),
      );
    }
    let seen: Promise<boolean> | undefined;
    let clean = true;
    while (seen !== this.#stopping) {
      seen = this.#stopping;
      clean = await seen;
    }
    return clean;
  }

  async #drain(): Promise<boolean> {
    let clean = true;
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        this.#log.debug({ step: step.name }, "stopping");
        await beforeDeadline(step);
      } catch (error) {
        clean = false;
        this.#log.error({ step: step.name, error }, "stop failed");
      }
    }
    return clean;
  }
}

async function beforeDeadline(step: Step): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const message = `${step.name} didn't stop within ${step.deadlineMs} ms`;
    late.reject(new ShoalError("stop_late", message, { blame: "local" }));
  }, step.deadlineMs);
  try {
    await Promise.race([Promise.resolve().then(step.stop), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
