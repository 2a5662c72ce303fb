// The loops: leases that ran out, artifacts that arrived, rollouts under way, goals that lag behind,
// artifacts nobody needs. Each round takes what it finds under a lock of its own, so every control
// plane may run all of them; a round that fails is tried again with back-off.
import { secondMs, minuteMs } from "@shoal/core/units";
import { type Loop, startLoop } from "@shoal/daemon/loop";
import type { Log } from "@shoal/daemon/log";
import { artifactsKeptPerProject, databaseLookMs, replicationLookMsMin } from "@shoal/core/limits";
import type { BlobStore } from "@shoal/store/blob-store";
import { retireArtifacts } from "../db/artifacts.ts";
import { servicesWithStaleGoals } from "../db/goals.ts";
import { servicesRollingOut } from "../db/rollouts.ts";
import type { ServiceName } from "../db/services.ts";
import { type Wakeups, notify } from "../db/wakeups.ts";
import { sealLogs } from "../operations/seal-logs.ts";
import { deployWhatIsDue } from "../operations/auto-deploy.ts";
import { type DriveDeps, driveService } from "../operations/drive-service.ts";
import { reapCancels, reapLeases, watchReplication } from "../operations/reap-builds.ts";

export interface JobDeps extends DriveDeps {
  readonly adopt: () => Promise<void>;
  readonly logs: BlobStore | null;
  readonly wakeups: Wakeups;
  readonly log: Log;
}

/** Most services that one round brings up to date; the next round goes on. */
const servicesPerRound = 500;

/** Starts every loop; `stop` waits for the rounds under way. */
export function startJobs(deps: JobDeps): { stop(): Promise<void> } {
  const { database, log, wakeups } = deps;
  const look = startLoop({
    name: "database-look",
    intervalMs: databaseLookMs,
    log,
    run: () => deps.adopt(),
  });
  const leases = startLoop({
    name: "lease-reaper",
    intervalMs: 1 * secondMs,
    log,
    run: async () => {
      await reapLeases(deps);
      await reapCancels(deps);
    },
  });
  const replication = startLoop({
    name: "replication-watcher",
    intervalMs: 1 * secondMs,
    // Every publish and every report of a seeder wakes it.
    againMsMin: replicationLookMsMin,
    log,
    run: () => watchReplication(deps),
  });
  const rollouts = startLoop({
    name: "rollout-driver",
    intervalMs: 1 * secondMs,
    log,
    run: (signal) => driveRollouts(deps, signal),
  });
  const rules = startLoop({
    name: "environment-rules",
    intervalMs: 2 * secondMs,
    log,
    run: () => deployWhatIsDue(deps),
  });
  const retention = startLoop({
    name: "retention",
    intervalMs: 1 * minuteMs,
    log,
    run: async () => {
      const retired = await retireArtifacts(database, artifactsKeptPerProject);
      if (retired > 0) await notify(database, "plan");
    },
  });
  const { logs } = deps;
  const sealing = startLoop({
    name: "log-sealer",
    intervalMs: 1 * secondMs,
    log,
    run: async () => {
      if (logs !== null) await sealLogs({ database, logs });
    },
  });
  const unsubscribe = [
    // A report may be what a rollout, or a build that is being replicated, waits for.
    wakeups.subscribe("rollouts", () => rollouts.wake()),
    wakeups.subscribe("plan", () => replication.wake()),
  ];
  const loops: readonly Loop[] = [look, leases, replication, rollouts, rules, retention, sealing];
  return {
    stop: async () => {
      for (const end of unsubscribe) end();
      await Promise.all(loops.map((loop) => loop.stop()));
    },
  };
}

async function driveRollouts(deps: JobDeps, signal: AbortSignal): Promise<void> {
  const rolling = await servicesRollingOut(deps.database);
  const stale = await servicesWithStaleGoals(
    deps.database,
    deps.authority.goalKeyId,
    servicesPerRound,
  );
  let failure: unknown;
  for (const name of distinct([...rolling, ...stale])) {
    if (signal.aborted) return;
    try {
      await driveService(deps, name);
    } catch (error) {
      // One service's trouble must not keep the others waiting.
      deps.log.warn({ ...name, error }, "a service couldn't be driven");
      failure = error;
    }
  }
  if (failure !== undefined) throw failure as Error;
}

function distinct(names: readonly ServiceName[]): ServiceName[] {
  const seen = new Map(names.map((name) => [`${name.environment}/${name.service}`, name]));
  return [...seen.values()];
}
