// The story of `shoal demo --services`: many services on one fleet are deployed at the same time, twice;
// the second time one of them gets a version that can't run. The others converge, that one goes back.
import type { Client } from "@shoal/api/client";
import type { Rollout } from "@shoal/api/control-plane";
import type { HostStatus } from "@shoal/api/seeder";
import { ShoalError } from "@shoal/core/error";
import { selects } from "@shoal/core/rollout/selector";
import { minuteMs } from "@shoal/core/units";
import { setTimeout as sleep } from "node:timers/promises";
import { readHosts } from "../commands/status.ts";
import { followBuild } from "../follow.ts";
import type { Progress } from "./progress.ts";
import type { PlannedService, ServicesPlan } from "./services-plan.ts";
import type { ServiceFacts, ServicesFacts } from "./services-report.ts";

export interface ServicesContext {
  readonly client: Client;
  readonly plan: ServicesPlan;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

const environment = "production";
const pollMs = 1000;
const deadlineMs = 10 * minuteMs;

/** Answers what each service's second rollout came to. */
export async function tellServicesStory(
  context: ServicesContext,
  startedAt: number,
): Promise<ServicesFacts> {
  const { client, plan } = context;
  await client.projects.create(plan.project);
  for (const { input } of plan.services) await client.services.create(input);
  const [v1, v2, v3] = await buildAll(context);
  const versions = new Map<string, string>();
  const first = await deployAll(context, "deploy v1", versions, () => ["v1", v1]);
  const second = await deployAll(context, "deploy v2, and a bad one", versions, ({ isBad }) =>
    isBad ? ["v3", v3] : ["v2", v2],
  );
  return {
    ok: [...first, ...second].every((service) => service.ok),
    seconds: (performance.now() - startedAt) / 1000,
    first,
    second,
  };
}

async function buildAll(context: ServicesContext): Promise<[number, number, number]> {
  const { client, plan, progress, signal } = context;
  const stage = progress.stage("build three versions");
  const ids: number[] = [];
  for (const { commit } of plan.commits) {
    const { id } = await client.builds.start({ project: plan.project.name, commit });
    const build = await followBuild(client, id, { pollMs: 200, deadlineMs, signal }, () => {});
    if (build.state !== "SUCCEEDED") {
      throw new ShoalError("build_failed", `Build ${id} ended ${build.state}.`, {
        blame: "remote",
      });
    }
    ids.push(id);
  }
  stage.done("SUCCEEDED");
  const [v1 = 0, v2 = 0, v3 = 0] = ids;
  return [v1, v2, v3];
}

/** Deploys to all services at once, and waits until every rollout has ended and every host obeys. */
async function deployAll(
  context: ServicesContext,
  title: string,
  versions: Map<string, string>,
  choose: (service: PlannedService) => [version: string, build: number],
): Promise<ServiceFacts[]> {
  const { client, plan, progress, signal } = context;
  const stage = progress.stage(title);
  const started = await Promise.all(
    plan.services.map(async (service) => {
      const [version, build] = choose(service);
      const rollout = await client.services.deploy(environment, service.name, { build });
      versions.set(rollout.release.id, version);
      return { service, version, id: rollout.id };
    }),
  );
  const deadlineAt = performance.now() + deadlineMs;
  for (;;) {
    const rollouts = await Promise.all(started.map(({ id }) => client.rollouts.get(id)));
    const { items: hosts } = await readHosts(client, undefined);
    const facts = started.map(({ service, version }, index) =>
      factsOf(service, version, rollouts[index], hosts, versions),
    );
    const done = facts.filter(({ ok }) => ok).length;
    if (done === facts.length || performance.now() > deadlineAt) {
      stage.done(`${done} of ${facts.length} services are as they should be`);
      return facts;
    }
    stage.update(done / facts.length, `${done} of ${facts.length} services`);
    await sleep(pollMs, undefined, { signal });
  }
}

function factsOf(
  { name, selector, isBad }: PlannedService,
  version: string,
  rollout: Rollout | undefined,
  hosts: readonly HostStatus[],
  versions: ReadonlyMap<string, string>,
): ServiceFacts {
  const selected = hosts.filter((host) => selects(selector, host.labels));
  // What is bad never becomes what its hosts should run.
  const fails = isBad && version === "v3";
  const expected = fails ? "v1" : version;
  const statuses = hosts.map((host) => host.services.find(({ service }) => service === name));
  const converged = selected.filter((host) => {
    const status = host.services.find(({ service }) => service === name);
    const running = status?.running ?? null;
    return status?.healthy === true && running !== null && versions.get(running) === expected;
  }).length;
  const running = statuses.filter((status) => status !== undefined && status.running !== null);
  const state = rollout?.state ?? "PREPARING";
  return {
    service: name,
    selector,
    hosts: selected.length,
    version,
    state,
    runs: expected,
    converged,
    elsewhere: running.length - selected.length,
    seconds: rollout === undefined ? 0 : secondsOf(rollout),
    reason: rollout?.reason ?? "",
    ok:
      state === (fails ? "FAILED" : "SUCCEEDED") &&
      selected.length > 0 &&
      converged === selected.length &&
      running.length === selected.length,
  };
}

function secondsOf({ createdAt, endedAt }: Rollout): number {
  return endedAt === null ? 0 : (Date.parse(endedAt) - Date.parse(createdAt)) / 1000;
}
