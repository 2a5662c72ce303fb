// What this host says of itself to a seeder: on change, debounced, and at a slow beat.
import type { FetchStatus, HostReport, ServiceStatus } from "@shoal/api/seeder";
import type { ArtifactCid, HostId } from "@shoal/core/ids";
import { fetchesReportedMax, goalPollMs, reportDebounceMs } from "@shoal/core/limits";
import { startLoop, type Loop } from "@shoal/daemon/loop";
import type { Log } from "@shoal/daemon/log";
import type { ServiceRunner } from "./service-runner.ts";
import type { Seeders } from "./seeders.ts";

export const agentVersion = "0.1.0";

const messageMax = 1024;

export interface ReporterDeps {
  readonly host: HostId;
  readonly seeders: Pick<Seeders, "ask">;
  readonly runners: () => readonly ServiceRunner[];
  readonly fetches: () => readonly FetchStatus[];
  /** How far an artifact is, for a person; empty when there is nothing to say. */
  readonly describeFetch: (artifact: ArtifactCid) => string;
  /** Whether there is a passport to report with. */
  readonly hasJoined: () => boolean;
  readonly log: Log;
}

export class Reporter {
  readonly #deps: ReporterDeps;
  readonly #loop: Loop;
  #pending: NodeJS.Timeout | undefined;

  constructor(deps: ReporterDeps) {
    this.#deps = deps;
    this.#loop = startLoop({
      name: "report",
      intervalMs: goalPollMs,
      backoffMsMax: goalPollMs,
      log: deps.log,
      run: (signal) => this.#send(signal),
    });
  }

  /** Something has changed: it is told soon, together with what changes meanwhile. */
  changed(): void {
    this.#pending ??= setTimeout(() => {
      this.#pending = undefined;
      this.#loop.wake();
    }, reportDebounceMs);
  }

  async stop(): Promise<void> {
    clearTimeout(this.#pending);
    await this.#loop.stop();
  }

  async #send(signal: AbortSignal): Promise<void> {
    const { host, seeders, runners, fetches, describeFetch, hasJoined } = this.#deps;
    if (!hasJoined()) return;
    const report: HostReport = {
      host,
      agentVersion,
      services: runners().flatMap((runner) => serviceStatus(runner, describeFetch) ?? []),
      fetches: fetches().slice(0, fetchesReportedMax),
    };
    await seeders.ask((client) => client.hostReport(report, { signal }), signal);
  }
}

/** Null before the service's first goal. */
function serviceStatus(
  runner: Pick<ServiceRunner, "machine" | "port">,
  describeFetch: (artifact: ArtifactCid) => string,
): ServiceStatus | null {
  const { machine } = runner;
  const goal = machine.goal();
  if (goal === null) return null;
  const status = machine.status();
  const missing = machine.wanted().find(({ id }) => !machine.holds(id));
  const fetching = missing === undefined ? "" : describeFetch(missing.artifact);
  const waitsFor = fetching === "" ? status.waitsFor : `${status.waitsFor}: ${fetching}`;
  return {
    environment: goal.environment,
    service: goal.service,
    epoch: goal.epoch,
    generation: goal.generation,
    state: status.state,
    holding: machine
      .wanted()
      .filter(({ id }) => machine.holds(id))
      .map(({ id }) => id),
    running: status.running,
    healthy: status.healthy,
    failed:
      status.failed === null
        ? null
        : {
            rollout: status.failed.rollout,
            release: status.failed.release,
            code: status.failed.code.slice(0, 64),
            message: status.failed.message.slice(0, messageMax),
          },
    waitsFor: waitsFor.slice(0, messageMax),
    port: runner.port(),
  };
}
