// Deploy, roll back, allow: what people ask of a service. All of it happens under the service's lock,
// and the first goals are written in the same transaction.
import type { Rollout as RolloutView } from "@shoal/api/control-plane";
import { ShoalError } from "@shoal/core/error";
import type { Release } from "@shoal/core/rollout/release";
import { releaseId } from "@shoal/core/rollout/release-id";
import { Rollout } from "@shoal/core/rollout/rollout";
import { beginRollout, isEnded } from "@shoal/core/rollout/rollout-state";
import type { RolloutState } from "@shoal/core/rollout/rollout-events";
import { isRetired } from "../db/artifacts.ts";
import { findBuild } from "../db/builds.ts";
import type { Queries } from "../db/connection.ts";
import { type StoredRollout, insertRollout, saveRollout } from "../db/rollouts.ts";
import {
  type LockedService,
  type ServiceName,
  findQuarantine,
  findRelease,
  insertRelease,
  newestGoodRelease,
  quarantineRelease,
} from "../db/services.ts";
import { type DriveDeps, goBackTo } from "./drive-service.ts";
import { notFound } from "./not-found.ts";
import { requirePromotable } from "./promotable.ts";
import { underLock } from "./under-lock.ts";

/** Begins to roll a build out. A rollback that is still under way is overtaken; another deploy isn't. */
export async function deploy(
  deps: DriveDeps,
  name: ServiceName,
  buildId: number,
  by: string,
): Promise<RolloutView> {
  return underLock(deps, name, async (queries, service, newest) => {
    const release = await releaseOfBuild(queries, service, buildId);
    await requirePromotable(queries, name, release.artifact);
    await refuseQuarantined(queries, name, release.id);
    if (newest !== null && !isEnded(newest.state)) {
      // Hosts that a rollback in waves hasn't reached yet would keep what it takes away.
      if (newest.state.staged) throw rolloutRunning(name, newest.id);
      await supersede(queries, newest, deps, `overtaken by the deploy of build ${buildId}`);
    }
    await insertRelease(queries, name, release);
    const state = beginRollout("deploy", saltOf(name, newest), service.nowMs);
    const previous = service.current?.id ?? null;
    const same = previous === release.id;
    return insertRollout(queries, name, {
      kind: "deploy",
      release: release.id,
      previous,
      by,
      state: same ? alreadyThere(state) : state,
    });
  });
}

/**
 * Goes back to the release asked for, or to the newest one that was good: at once and everywhere,
 * unless asked to go through waves. Goes ahead of a rollout under way, and quarantines what is rolled
 * back. A deploy under way has changed nothing for good yet: going back from it needs no waves.
 */
export async function rollback(
  deps: DriveDeps,
  name: ServiceName,
  { release: wanted, waves }: { readonly release?: string | undefined; readonly waves: boolean },
  by: string,
): Promise<RolloutView> {
  return underLock(deps, name, async (queries, service, newest) => {
    const running = newest !== null && !isEnded(newest.state) ? newest : null;
    const deploying = running?.state.kind === "deploy" ? running.release : null;
    const bad = deploying ?? service.current;
    const target = await rollbackTarget(queries, name, service, bad, deploying !== null, wanted);
    if (running !== null) await supersede(queries, running, deps, "overtaken by a rollback");
    if (bad !== null) await quarantineRelease(queries, name, bad.id, "it was rolled back");
    const staged = waves && deploying === null;
    if (!staged) await goBackTo(queries, name, target);
    return insertRollout(queries, name, {
      kind: "rollback",
      release: target.id,
      previous: bad?.id ?? null,
      by,
      state: beginRollout("rollback", saltOf(name, newest), service.nowMs, staged),
    });
  });
}

async function releaseOfBuild(
  queries: Queries,
  service: LockedService,
  buildId: number,
): Promise<Release> {
  const build = await findBuild(queries, buildId);
  if (build === null) throw notFound("build", buildId);
  const refuse = (why: string, hint: string): ShoalError =>
    new ShoalError("build_not_deployable", why, { blame: "remote", hint });
  if (build.project !== service.project) {
    throw refuse(
      `Build ${buildId} is of project ${build.project}, the service runs ${service.project}.`,
      "Give a build of the service's own project.",
    );
  }
  if (build.state !== "SUCCEEDED" || build.artifact === null) {
    throw refuse(
      `Build ${buildId} is ${build.state}, not SUCCEEDED.`,
      build.regionsMissing.length > 0 && build.state === "REPLICATING"
        ? `Wait until ${build.regionsMissing.join(", ")} hold it.`
        : "Deploy a build that has succeeded.",
    );
  }
  if (await isRetired(queries, build.artifact)) {
    throw refuse(
      `The artifact of build ${buildId} was dropped from the stores.`,
      "Build it again.",
    );
  }
  const { artifact, project, commit } = build;
  const release = { artifact, project, commit, run: service.run };
  return { id: releaseId(release), ...release };
}

async function rollbackTarget(
  queries: Queries,
  name: ServiceName,
  service: LockedService,
  bad: Release | null,
  deploying: boolean,
  wanted: string | undefined,
): Promise<Release> {
  if (wanted !== undefined) {
    const release = await findRelease(queries, name, wanted);
    if (release === null) throw notFound("release", wanted);
    if (release.id === bad?.id) throw noTarget(`${wanted} is what runs now.`);
    if (await isRetired(queries, release.artifact)) throw noTarget(`${wanted} was dropped.`);
    await refuseQuarantined(queries, name, wanted);
    return release;
  }
  // While a deploy is under way, most hosts still run what the service ran before it.
  if (deploying && service.current !== null && service.current.id !== bad?.id)
    return service.current;
  const release = await newestGoodRelease(queries, name, bad === null ? [] : [bad.id]);
  if (release === null) throw noTarget("No earlier release of this service was good everywhere.");
  return release;
}

async function supersede(
  queries: Queries,
  running: StoredRollout,
  deps: Pick<DriveDeps, "policy">,
  reason: string,
): Promise<void> {
  const rollout = new Rollout(running.state, deps.policy);
  rollout.handle({ type: "superseded", reason }, running.state.nowMs);
  await saveRollout(queries, running.id, rollout.state, null);
}

async function refuseQuarantined(
  queries: Queries,
  name: ServiceName,
  release: string,
): Promise<void> {
  const reason = await findQuarantine(queries, name, release);
  if (reason === null) return;
  throw new ShoalError("release_quarantined", `${release} is quarantined: ${reason}.`, {
    blame: "remote",
    hint: "If you are sure, allow it first; or deploy another build.",
    details: { release },
  });
}

/** The order of hosts changes with every rollout, so that it isn't always the same ones that go first. */
function saltOf(name: ServiceName, newest: StoredRollout | null): string {
  return `${name.service.slice(0, 40)}-${(newest?.id ?? 0) + 1}`;
}

function alreadyThere(state: RolloutState): RolloutState {
  return { ...state, phase: "SUCCEEDED", reason: "the service runs this release already" };
}

function rolloutRunning(name: ServiceName, id: number): ShoalError {
  const service = `${name.environment}/${name.service}`;
  return new ShoalError("rollout_running", `Rollout ${id} of ${service} is under way.`, {
    blame: "remote",
    hint: "Wait for its end, or roll back first: that goes ahead of it.",
    details: { rollout: id },
  });
}

function noTarget(message: string): ShoalError {
  return new ShoalError("rollback_target_missing", message, {
    blame: "remote",
    hint: "Name a release to go back to, or deploy a build.",
  });
}
