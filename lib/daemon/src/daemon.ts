// The life of a process: settings, log, start, the ready line, and an ordered stop by signal, by the
// parent's end, or by an error nobody caught. The only place that ends a process.
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
  listenForSignals(log, stop);
  process.on("uncaughtException", (error) => fail(log, stop, error, "uncaught exception"));
  process.on("unhandledRejection", (error) => fail(log, stop, error, "unhandled rejection"));
  if (settings.exitWithParent) watchParent(() => stop("the parent ended", 0));
  try {
    const facts = await start({ log, lifecycle, signal: lifecycle.signal });
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

/** The first signal stops in order, and a second one that isn't the echo of it ends at once. */
function listenForSignals(log: Log, stop: Stop): void {
  let firstMs: number | undefined;
  const heard = (signal: NodeJS.Signals): void => {
    if (firstMs !== undefined && performance.now() - firstMs > signalRepeatMs) {
      log.warn({ signal }, "asked to stop again: ending at once");
      process.exit(130);
    }
    if (firstMs !== undefined) return;
    firstMs = performance.now();
    stop(signal, 0);
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
