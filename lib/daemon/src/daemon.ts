// The life of a process: settings, log, start, the ready line, and an ordered stop by signal, by the
// parent's end, or by an error nobody caught. The only place that ends a process.
// SIGTERM lets a process drain first, where it has something to end.
//
// Exit codes: 0 stopped on request and clean, 1 an error of ours or an unclean stop, 2 the start was
// refused for a reason that a person can mend (one line on stderr says which), 130 a second signal.
import { ShoalError } from "@shoal/core/error";
import { signalRepeatMs, stopMsMax } from "@shoal/core/limits";
import { type DaemonSettings, processSources, readDaemonSettings } from "./config.ts";
import { Lifecycle } from "./lifecycle.ts";
import { type Log, createLog } from "./log.ts";

export interface DaemonContext {
  readonly log: Log;
  /** Add to it what has to be stopped, right after it was started. */
  readonly lifecycle: Lifecycle;
  /** Aborted when the process begins to stop. */
  readonly signal: AbortSignal;
  /**
   * What to do at the first SIGTERM before the stop: end what is under way, take nothing new. It bounds
   * itself, and heeds the signal, which is aborted when another signal says not to wait.
   */
  readonly onDrain: (drain: (hurry: AbortSignal) => Promise<void>) => void;
}

/**
 * Runs a process. What `start` returns is printed as one JSON line on stdout, `{"ready":true,…}`:
 * addresses with their real ports. Never returns to a caller who has more to do.
 */
export async function runDaemon(
  name: string,
  start: (context: DaemonContext) => Promise<Record<string, unknown>>,
): Promise<void> {
  let settings: DaemonSettings;
  try {
    settings = readDaemonSettings(processSources());
  } catch (error) {
    refuseStart(name, error);
  }
  const log = createLog(name, settings.logLevel);
  const lifecycle = new Lifecycle({ log });
  const stop = createStopper(log, lifecycle);
  // A reader of stdout that went away must not end the process.
  process.stdout.on("error", (error) => log.warn({ error }, "stdout is closed"));
  const drains: Drain[] = [];
  listenForSignals(log, stop, async () => {
    await Promise.all(drains.map((drain) => drain(lifecycle.signal)));
  });
  process.on("uncaughtException", (error) => fail(log, stop, error, "uncaught exception"));
  process.on("unhandledRejection", (error) => fail(log, stop, error, "unhandled rejection"));
  if (settings.exitWithParent) watchParent(() => stop("the parent ended", 0));
  try {
    const { signal } = lifecycle;
    const facts = await start({ log, lifecycle, signal, onDrain: (one) => drains.push(one) });
    if (lifecycle.signal.aborted) return;
    process.stdout.write(`${JSON.stringify({ ready: true, ...facts })}\n`);
    log.info(facts, "ready");
  } catch (error) {
    if (lifecycle.signal.aborted) return; // The stop that made it fail ends the process.
    if (!(error instanceof ShoalError)) {
      fail(log, stop, error, "start failed");
      return;
    }
    await lifecycle.stop();
    refuseStart(name, error);
  }
}

/** Begins the stop; later calls only make the exit code worse. */
type Stop = (reason: string, exitCode: number) => void;

function createStopper(log: Log, lifecycle: Lifecycle): Stop {
  let worst: number | undefined;
  return (reason, exitCode) => {
    log.info({ reason }, "stopping");
    const isFirst = worst === undefined;
    worst = Math.max(worst ?? 0, exitCode);
    if (!isFirst) return;
    setTimeout(() => {
      log.error({ stopMsMax }, "the stop took too long");
      process.exit(1);
    }, stopMsMax);
    void lifecycle.stop().then((clean) => process.exit(clean ? worst : 1));
  };
}

type Drain = Parameters<DaemonContext["onDrain"]>[0];

/**
 * SIGTERM drains and then stops in order, SIGINT stops at once in order; a further signal that isn't an
 * echo cuts the drain short, or, when the stop has begun, ends at once.
 */
function listenForSignals(log: Log, stop: Stop, drain: () => Promise<void>): void {
  let heardMs: number | undefined;
  let phase: "running" | "draining" | "stopping" = "running";
  const begin = (reason: string): void => {
    if (phase !== "stopping") stop(reason, 0);
    phase = "stopping";
  };
  const heard = (signal: NodeJS.Signals): void => {
    const isEcho = heardMs !== undefined && performance.now() - heardMs <= signalRepeatMs;
    if (isEcho) return;
    heardMs = performance.now();
    if (phase === "stopping") {
      log.warn({ signal }, "asked to stop again: ending at once");
      process.exit(130);
    }
    if (phase === "draining" || signal === "SIGINT") return begin(signal);
    phase = "draining";
    drain()
      .catch((error: unknown) => log.error({ error }, "draining failed"))
      .finally(() => begin(signal));
  };
  process.on("SIGTERM", heard).on("SIGINT", heard);
}

function fail(log: Log, stop: Stop, error: unknown, what: string): void {
  log.fatal({ error }, what);
  stop(what, 1);
}

function watchParent(ended: () => void): void {
  let told = false;
  const tell = (): void => {
    if (!told) ended();
    told = true;
  };
  process.stdin.on("end", tell).on("close", tell).on("error", tell).resume();
}

function refuseStart(name: string, error: unknown): never {
  if (error instanceof ShoalError && error.code === "help_requested") {
    process.stdout.write(`${error.message}\n`);
    process.exit(0);
  }
  const text = error instanceof ShoalError ? describeError(error) : String(error);
  process.stderr.write(`${name}: ${text}\n`);
  process.exit(2);
}

/** Code, message and hint in one line, for a person at a terminal. */
export function describeError(error: ShoalError): string {
  const hint = error.hint === undefined ? "" : ` (${error.hint})`;
  return `${error.code}: ${error.message}${hint}`.replaceAll(/\s*\n\s*/g, " ");
}
