// The driver of one service's machine: tells it what happens and carries out its orders, one after the
// other. It decides nothing: which release, when, and for how long is the machine's business.
import type { ActivationInput, ActivationOutput } from "@shoal/core/activation/activation-events";
import { Activation } from "@shoal/core/activation/activation";
import { ShoalError } from "@shoal/core/error";
import type { HostId, ServiceKey } from "@shoal/core/ids";
import {
  programLogPollMs,
  programStopOnExitMsMax,
  savePauseMs,
  saveTriesMax,
} from "@shoal/core/limits";
import type { Release } from "@shoal/core/rollout/release";
import type { Log } from "@shoal/daemon/log";
import { setTimeout as sleep } from "node:timers/promises";
import type { ActivationRecord } from "./activation-record.ts";
import { watchHealth, type HealthWatch } from "./health-watch.ts";
import type { Launcher, RunningProgram } from "./supervise/launcher.ts";

export interface ServiceRunnerDeps {
  readonly launcher: Launcher;
  readonly record: ActivationRecord;
  /** Monotonic milliseconds: a change of the wall clock mustn't fail a release. */
  readonly now: () => number;
  /** Something that a report should tell has changed. */
  readonly onChange: () => void;
  readonly log: Log;
}

/** Takes up where an earlier life of the agent left off, with the program that may still run. */
export async function openServiceRunner(
  key: ServiceKey,
  host: HostId,
  deps: ServiceRunnerDeps,
): Promise<ServiceRunner> {
  const machine = new Activation(host, await deps.record.read());
  return new ServiceRunner(key, machine, deps, await deps.launcher.find());
}

export class ServiceRunner {
  readonly key: ServiceKey;
  readonly machine: Activation;
  readonly #deps: ServiceRunnerDeps;
  readonly #orders: ActivationOutput[] = [];
  readonly #stopping: AbortController = new AbortController();
  readonly #logTimer: NodeJS.Timeout;
  #running: RunningProgram | null = null;
  #health: HealthWatch | null = null;
  #isWorking = false;
  #working: Promise<void> = Promise.resolve();
  #deadline: NodeJS.Timeout | undefined;

  constructor(
    key: ServiceKey,
    machine: Activation,
    deps: ServiceRunnerDeps,
    found: RunningProgram | null,
  ) {
    this.key = key;
    this.machine = machine;
    this.#deps = deps;
    this.#logTimer = setInterval(() => this.#boundLog(), programLogPollMs).unref();
    if (found === null) return;
    deps.log.info({ service: key, release: found.release.id }, "found its program running");
    this.tell({ type: "programFound", release: found.release });
    this.#watch(found);
  }

  /** The machine knows at once; the orders that follow are carried out one after another. */
  tell(input: ActivationInput): void {
    if (this.#stopping.signal.aborted) return;
    const before = this.#news();
    this.machine.handle(input, this.#deps.now());
    for (let output = this.machine.poll(); output !== undefined; output = this.machine.poll())
      this.#orders.push(output);
    this.#setDeadline();
    // Most health checks change nothing: a report for each would flood the seeder.
    if (this.#news() !== before) this.#deps.onChange();
    if (this.#isWorking || this.#orders.length === 0) return;
    this.#isWorking = true;
    this.#working = this.#work();
  }

  /** Resolves when every order given so far was carried out. */
  async idle(): Promise<void> {
    while (this.#isWorking) await this.#working;
  }

  /** Of the program that runs; null when none does or it has none. */
  port(): number | null {
    return this.#running?.port ?? null;
  }

  /** Stops deciding; ends the program only when asked to. */
  async stop(endProgram: boolean): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#deadline);
    clearInterval(this.#logTimer);
    this.#health?.stop();
    if (endProgram) await this.#running?.stop(programStopOnExitMsMax);
    await this.idle();
    // One that was just being started.
    if (endProgram) await this.#running?.stop(programStopOnExitMsMax);
  }

  /** Never rejects. The machine gives few orders ahead: it waits for the answer to each start and stop. */
  async #work(): Promise<void> {
    for (let order = this.#orders.shift(); order !== undefined; order = this.#orders.shift()) {
      try {
        await this.#carryOut(order);
      } catch (error) {
        const { log } = this.#deps;
        log.error({ error, service: this.key, order: order.type }, "can't carry out an order");
      }
    }
    this.#isWorking = false;
  }

  async #carryOut(output: ActivationOutput): Promise<void> {
    switch (output.type) {
      case "save":
        return this.#save();
      case "start":
        return this.#start(output.release);
      case "stop":
        return this.#stopProgram(output.release);
    }
  }

  /** Without room on disk the later orders matter more: the price is one more try after a crash. */
  async #save(): Promise<void> {
    for (let attempt = 1; attempt <= saveTriesMax; attempt += 1) {
      try {
        await this.#deps.record.write(this.machine.durable());
        return;
      } catch (error) {
        this.#deps.log.error({ error, service: this.key }, "can't save what failed here");
        await sleep(savePauseMs);
      }
    }
  }

  async #start(release: Release): Promise<void> {
    const { launcher, log } = this.#deps;
    const { id, commit } = release;
    try {
      if (this.#stopping.signal.aborted) return;
      const running = await launcher.launch(release);
      log.info({ service: this.key, release: id, commit, port: running.port }, "started");
      this.tell({ type: "programStarted", release: id });
      this.#watch(running);
    } catch (error) {
      const { code, message } = describe(error);
      log.warn({ service: this.key, release: id, code, reason: message }, "not started");
      this.tell({ type: "startFailed", release: id, code, message });
    }
  }

  /** The exit is told by the one who watches for it. */
  async #stopProgram(release: string): Promise<void> {
    const running = this.#running;
    if (running === null) {
      this.tell({ type: "programExited", release, message: "it had ended" });
      return;
    }
    this.#deps.log.info({ service: this.key, release }, "stopping");
    this.#health?.stop();
    await running.stop();
    await running.exited;
  }

  #watch(running: RunningProgram): void {
    this.#running = running;
    const { id, run } = running.release;
    this.#health = watchHealth(run, running.healthTarget, ({ healthy, message }) =>
      this.tell({ type: "healthChecked", release: id, healthy, message }),
    );
    const health = this.#health;
    void running.exited.then((message) => {
      health.stop();
      this.#running = null;
      this.#deps.log.info({ service: this.key, release: id, reason: message }, "ended");
      this.tell({ type: "programExited", release: id, message });
    });
  }

  #news(): string {
    const held = this.machine.wanted().filter(({ id }) => this.machine.holds(id));
    return JSON.stringify([this.machine.status(), held.map(({ id }) => id)]);
  }

  #setDeadline(): void {
    clearTimeout(this.#deadline);
    const at = this.machine.nextDeadline();
    if (at === undefined || this.#stopping.signal.aborted) return;
    const waitMs = Math.max(0, at - this.#deps.now());
    this.#deadline = setTimeout(() => this.tell({ type: "deadline" }), waitMs);
  }

  #boundLog(): void {
    this.#deps.launcher.boundLog().catch((error: unknown) => {
      this.#deps.log.warn({ error, service: this.key }, "can't bound a program's log");
    });
  }
}

function describe(error: unknown): { readonly code: string; readonly message: string } {
  if (error instanceof ShoalError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
  return { code: code ?? "program_not_started", message: String(error) };
}
