// The two steps of the demo's story: build a version, deploy a version.
import type { Client } from "@shoal/api/client";
import type { Build, Rollout } from "@shoal/api/control-plane";
import type { HostStatus } from "@shoal/api/seeder";
import { ShoalError } from "@shoal/core/error";
import { minuteMs } from "@shoal/core/units";
import { setTimeout as sleep } from "node:timers/promises";
import { readHosts } from "../commands/status.ts";
import { followBuild, followRollout } from "../follow.ts";
import { formatBytes } from "../units.ts";
import type { Progress, Stage } from "./progress.ts";
import { sumFetches, type DeployFacts } from "./report.ts";
import type { DemoPlan } from "./plan.ts";

export interface StoryContext {
  readonly client: Client;
  readonly plan: DemoPlan;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Hosts that the fleet has. */
  readonly hosts: number;
}

export type BuiltVersion = Build & { readonly version: string };

const pollMs = 100;
const buildDeadlineMs = 10 * minuteMs;
const rolloutDeadlineMs = 10 * minuteMs;
const convergeDeadlineMs = 1 * minuteMs;

/** Asks for a build and waits for its end; a build that doesn't succeed is an error with the log's end. */
export async function buildVersion(
  context: StoryContext,
  version: string,
  commit: string,
): Promise<BuiltVersion> {
  const { client, progress, signal } = context;
  const stage = progress.stage(`build ${version}`);
  const started = await client.builds.start({
    project: context.plan.project.name,
    commit,
    priority: 0,
  });
  const build = await followBuild(
    client,
    started.id,
    { pollMs, deadlineMs: buildDeadlineMs, signal },
    (now) => {
      stage.update(buildShare(now), now.state);
    },
  );
  if (build.state !== "SUCCEEDED") throw await buildError(client, build);
  stage.done(
    `SUCCEEDED, ${formatBytes(build.artifactBytes ?? 0)}, ${formatBytes(build.bytesUploaded ?? 0)} uploaded`,
  );
  return { ...build, version };
}

/** Deploys a version, waits for the rollout's end and until every host runs `expected` healthily. */
export async function deployVersion(
  context: StoryContext,
  build: BuiltVersion,
  versions: Record<string, string>,
  expected: string,
): Promise<DeployFacts> {
  const { client, progress, signal } = context;
  const stage = progress.stage(`deploy ${build.version}`);
  const startedAt = performance.now();
  const started = await client.services.deploy(
    context.plan.service.environment,
    context.plan.service.name,
    {
      build: build.id,
    },
  );
  versions[started.release.id] = build.version;
  let switchingAt: number | null = null;
  const rollout = await followRollout(
    client,
    started.id,
    { pollMs, deadlineMs: rolloutDeadlineMs, signal },
    (now) => {
      if (now.state !== "PREPARING") switchingAt ??= performance.now();
      stage.update(rolloutShare(now), describeProgress(now));
    },
  );
  const endedAt = performance.now();
  // Where the release was refused and there is no other one to go back to, nothing is left to wait for.
  const mayConverge = rollout.state === "SUCCEEDED" || expected !== build.version;
  const waitMs = mayConverge ? convergeDeadlineMs : 0;
  const hosts = await waitForHosts(context, versions, { expected, waitMs }, stage);
  const converged = hosts.filter((host) => runs(context.plan, host, versions, expected)).length;
  stage.done(`${rollout.state}, ${converged}/${context.hosts} hosts run ${expected} healthily`);
  return {
    version: build.version,
    commit: build.commit,
    rollout: rollout.id,
    state: rollout.state,
    reason: rollout.reason,
    hosts: hosts.length,
    converged,
    seconds: (performance.now() - startedAt) / 1000,
    prepareSeconds: ((switchingAt ?? endedAt) - startedAt) / 1000,
    switchSeconds: (endedAt - (switchingAt ?? endedAt)) / 1000,
    ...sumFetches(hosts, build.artifact ?? ""),
  };
}

async function waitForHosts(
  context: StoryContext,
  versions: Readonly<Record<string, string>>,
  { expected, waitMs }: { readonly expected: string; readonly waitMs: number },
  stage: Stage,
): Promise<readonly HostStatus[]> {
  const deadlineAt = performance.now() + waitMs;
  for (;;) {
    const { items: hosts } = await readHosts(context.client, undefined);
    const converged = hosts.filter((host) => runs(context.plan, host, versions, expected)).length;
    if (converged === context.hosts || performance.now() > deadlineAt) return hosts;
    stage.update(converged / context.hosts, `${converged}/${context.hosts} hosts run ${expected}`);
    await sleep(pollMs, undefined, { signal: context.signal });
  }
}

export function runs(
  plan: DemoPlan,
  host: HostStatus,
  versions: Readonly<Record<string, string>>,
  expected: string,
): boolean {
  return host.services.some(
    (service) =>
      service.service === plan.service.name &&
      service.healthy &&
      service.running !== null &&
      versions[service.running] === expected,
  );
}

function buildShare(build: Build): number {
  if (build.state === "REPLICATING") return 0.8;
  return build.state === "BUILDING" ? 0.3 : 0;
}

function rolloutShare(rollout: Rollout): number {
  const counts = rollout.counts;
  if (counts === null || rollout.hosts === 0) return 0;
  return (counts.holding + counts.healthy) / (2 * rollout.hosts);
}

function describeProgress(rollout: Rollout): string {
  const counts = rollout.counts;
  if (counts === null) return rollout.state;
  const wave =
    rollout.state === "SWITCHING" ? ` wave ${rollout.wave + 1} of ${rollout.waves},` : "";
  return `${rollout.state},${wave} ${counts.holding}/${rollout.hosts} hold it, ${counts.healthy} healthy, ${counts.failed} failed`;
}

async function buildError(client: Client, build: Build): Promise<ShoalError> {
  const log = await client.builds.log(build.id, { offset: 0, waitMs: 0 });
  const tail = new TextDecoder().decode(log.bytes).trimEnd().split("\n").slice(-15).join("\n");
  const why =
    build.failure === null ? build.state : `${build.failure.message} (${build.failure.code})`;
  return new ShoalError("build_failed", `Build ${build.id} ended ${build.state}: ${why}\n${tail}`, {
    blame: "remote",
  });
}
