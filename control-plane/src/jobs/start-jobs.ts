// The loops: leases that ran out, artifacts that arrived, rollouts under way, goals that lag behind,
// artifacts nobody needs, branch heads, commit statuses. One control plane at a time has each of them by
// a lease; each round still takes what it finds under a lock of its own, so that two that both believe
// they have a loop do no harm. A round that fails is tried again with back-off.
import { secondMs, minuteMs } from "@shoal/core/units";
import { type LoopOptions, startLoop } from "@shoal/daemon/loop";
import type { Log } from "@shoal/daemon/log";
import { artifactsKeptPerProject, databaseLookMs, replicationLookMsMin } from "@shoal/core/limits";
import type { BlobStore } from "@shoal/store/blob-store";
import { retireArtifacts } from "../db/artifacts.ts";
import { servicesWithStaleGoals } from "../db/goals.ts";
import { servicesRollingOut } from "../db/rollouts.ts";
import type { ServiceName } from "../db/services.ts";
import { type Wakeups, notify } from "../db/wakeups.ts";
import type { LoopLeases } from "../operations/loop-leases.ts";
import { sealLogs } from "../operations/seal-logs.ts";
import { deployWhatIsDue } from "../operations/auto-deploy.ts";
import { type DriveDeps, driveService } from "../operations/drive-service.ts";
import { type PostStatus, tellStatuses } from "../operations/tell-statuses.ts";
import { type WatchDeps, watchBranches } from "../operations/watch-branches.ts";
import { reapCancels, reapLeases, watchReplication } from "../operations/reap-builds.ts";

export interface JobDeps extends DriveDeps, WatchDeps {
  readonly loops: LoopLeases;
  readonly adopt: () => Promise<void>;
  readonly logs: BlobStore | null;
  readonly wakeups: Wakeups;
  readonly postStatus: PostStatus;
  readonly log: Log;
}

/** Most services that one round brings up to date; the next round goes on. */
const servicesPerRound = 500;

/** Starts every loop; `stop` waits for the rounds under way, and leaves the loops to others. */
export function startJobs(deps: JobDeps): { stop(): Promise<void> } {
  const { log, wakeups, loops: leases } = deps;
  // Each process looks for itself: its own statements are refused until it has.
  const look = startLoop({
    name: "database-look",
    intervalMs: databaseLookMs,
    log,
    run: () => deps.adopt(),
  });
  const rounds = roundsOf(deps);
  const running = Object.fromEntries(
    Object.entries(rounds).map(([name, { run, ...timing }]) => [
      name,
      startLoop({ name, log, ...timing, run: (signal) => leases.run(name, () => run(signal)) }),
    ]),
  );
  const unsubscribe = [
    // A report may be what a rollout, or a build that is being replicated, waits for.
    wakeups.subscribe("rollouts", () => running["rollout-driver"]?.wake()),
    wakeups.subscribe("plan", () => running["replication-watcher"]?.wake()),
  ];
  return {
    stop: async () => {
      for (const end of unsubscribe) end();
      await Promise.all([look, ...Object.values(running)].map((loop) => loop.stop()));
      await leases.release().catch((error: unknown) => log.debug({ error }, "loops kept"));
    },
  };
}

type Round = Pick<LoopOptions, "intervalMs" | "againMsMin" | "run">;

/** What one control plane at a time does, by name. */
function roundsOf(deps: JobDeps): Readonly<Record<string, Round>> {
  const { database, logs, postStatus: post } = deps;
  return {
    "lease-reaper": {
      intervalMs: 1 * secondMs,
      run: async () => {
        await reapLeases(deps);
        await reapCancels(deps);
      },
    },
    "replication-watcher": {
      intervalMs: 1 * secondMs,
      // Every publish and every report of a seeder wakes it.
      againMsMin: replicationLookMsMin,
      run: () => watchReplication(deps),
    },
    "rollout-driver": {
      intervalMs: 1 * secondMs,
      run: (signal) => driveRollouts(deps, signal),
    },
    "environment-rules": { intervalMs: 2 * secondMs, run: () => deployWhatIsDue(deps) },
    retention: {
      intervalMs: 1 * minuteMs,
      run: async () => {
        const retired = await retireArtifacts(database, artifactsKeptPerProject);
        if (retired > 0) await notify(database, "plan");
      },
    },
    "log-sealer": {
      intervalMs: 1 * secondMs,
      run: async () => {
        if (logs !== null) await sealLogs({ database, logs });
      },
    },
    "branch-watcher": { intervalMs: 5 * secondMs, run: () => watchBranches(deps) },
    "status-teller": { intervalMs: 1 * secondMs, run: () => tellStatuses({ database, post }) },
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
