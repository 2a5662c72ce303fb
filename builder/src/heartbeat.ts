// Keeps one lease alive, on a timer of its own, whatever the build does. The lease counts from the
// moment before the last beat that was answered: our clock and the control plane's needn't agree. When
// it can't be kept, or was taken away, or the build is to be cancelled, the signal is aborted, and
// whoever builds stops at once.
import { ShoalError } from "@shoal/core/error";
import { heartbeatMs, leaseMs } from "@shoal/core/limits";
import type { Log } from "@shoal/daemon/log";

export interface BeatAnswer {
  readonly cancel: boolean;
  /** The newest grant for the seeder. */
  readonly grant: string;
}

export interface HeartbeatDeps {
  readonly beat: (signal: AbortSignal) => Promise<BeatAnswer>;
  readonly log: Pick<Log, "warn">;
}

export interface HeartbeatTiming {
  readonly heartbeatMs: number;
  readonly leaseMs: number;
}

/** Codes that say for certain that the lease isn't ours any more. */
const refusals = new Set(["fence_stale", "build_ended", "not_found"]);

export class Heartbeat {
  readonly #deps: HeartbeatDeps;
  readonly #timing: HeartbeatTiming;
  readonly #stop: AbortController = new AbortController();
  readonly #lost: AbortController = new AbortController();
  readonly #cancel: AbortController = new AbortController();
  readonly #running: Promise<void>;
  #grant: string;
  #expiry: NodeJS.Timeout;

  constructor(
    deps: HeartbeatDeps,
    grant: string,
    timing: HeartbeatTiming = { heartbeatMs, leaseMs },
  ) {
    this.#deps = deps;
    this.#timing = timing;
    this.#grant = grant;
    this.#expiry = this.#expireIn(timing.leaseMs);
    this.#running = this.#run();
  }

  /** The newest grant; the first one runs out during a long build. */
  get grant(): string {
    return this.#grant;
  }

  /** Aborted with ShoalError `lease_lost`: nothing may be said about the build any more. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Aborted with ShoalError `build_cancelled`: stop, prove it, say so. Beats go on meanwhile. */
  get cancelled(): AbortSignal {
    return this.#cancel.signal;
  }

  /** One beat now, to learn what happened when another call was refused. Never rejects. */
  async beatNow(): Promise<void> {
    const startMs = performance.now();
    const signal = AbortSignal.any([
      this.#stop.signal,
      AbortSignal.timeout(this.#timing.heartbeatMs),
    ]);
    try {
      const answer = await this.#deps.beat(signal);
      this.#grant = answer.grant;
      clearTimeout(this.#expiry);
      this.#expiry = this.#expireIn(this.#timing.leaseMs - (performance.now() - startMs));
      if (answer.cancel) {
        const message = "Somebody asked to stop this build.";
        this.#cancel.abort(new ShoalError("build_cancelled", message, { blame: "remote" }));
      }
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#deps.log.warn({ error }, "a heartbeat failed");
      if (error instanceof ShoalError && refusals.has(error.code)) this.#lose(error);
    }
  }

  /** Ends the beats; the lease is left to run out or has ended. Idempotent. */
  async stop(): Promise<void> {
    clearTimeout(this.#expiry);
    this.#stop.abort();
    await this.#running;
    clearTimeout(this.#expiry);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted && !this.#lost.signal.aborted) {
      await pause(this.#timing.heartbeatMs, signal);
      if (!signal.aborted) await this.beatNow();
    }
  }

  #expireIn(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#lose(undefined), Math.max(0, ms));
  }

  #lose(cause: unknown): void {
    clearTimeout(this.#expiry);
    const message = "The lease of this build is lost.";
    this.#lost.abort(new ShoalError("lease_lost", message, { blame: "environment", cause }));
  }
}

/** Resolves after the time, or at once when the signal is aborted. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
}
