// Deploys against a real database, with hosts that a seeder counts as the protocol says. The hosts
// are the test's; goals are read from plans and verified as a host would.
import type { Plan, ServiceCounts } from "@shoal/api/seeder";
import type { Goal } from "@shoal/core/rollout/goal";
import { hostShare } from "@shoal/core/rollout/host-share";
import { makeLadder } from "@shoal/core/rollout/ladder";
import { mayRun } from "@shoal/core/rollout/switch-rule";
import { verifyGoal } from "@shoal/trust/goal-envelope";
import { driveService } from "./operations/drive-service.ts";
import { watchReplication } from "./operations/reap-builds.ts";
import {
  type TestFleet,
  type TestSeeder,
  type TestServer,
  cidFor,
  commitFor,
  publicationOf,
  startFleet,
} from "./test-fleet.ts";

interface TestHost {
  readonly id: string;
  healthy: string | null;
  failed: string | null;
}

export const name = { environment: "production", service: "web" };
export const regions = ["east", "west"] as const;
const bad = commitFor("bad");

/** A service of two regions with three hosts each, which do at every report what their goal says. */
export class RolloutKit {
  readonly fleet: TestFleet;
  readonly seeders: Readonly<Record<string, TestSeeder>>;
  readonly hosts: Readonly<Record<string, TestHost[]>>;
  readonly held: string[] = [];

  private constructor(fleet: TestFleet, seeders: Record<string, TestSeeder>) {
    this.fleet = fleet;
    this.seeders = seeders;
    this.hosts = Object.fromEntries(
      regions.map((region) => [
        region,
        [0, 1, 2].map((index) => ({ id: `${region}-${index}`, healthy: null, failed: null })),
      ]),
    );
  }

  static async start(server: TestServer): Promise<RolloutKit> {
    const fleet = await startFleet(server, { maxUnavailable: { type: "hosts", hosts: 3 } });
    const { admin } = fleet;
    await admin.regions.create({ name: "east", home: true });
    await admin.regions.create({ name: "west" });
    await admin.projects.create({
      name: "greeter",
      remoteUrl: "/srv/greeter",
      buildCommand: "make",
      artifactPath: "out",
    });
    const run = { command: ["./greeter"], health: { type: "none" } } as const;
    await admin.services.create({ name: "web", project: "greeter", run });
    const seeders = { east: await fleet.seeder("east"), west: await fleet.seeder("west") };
    return new RolloutKit(fleet, seeders);
  }

  async buildOf(text: string): Promise<number> {
    const { fleet, held } = this;
    const { id } = await fleet.admin.builds.start({ project: "greeter", commit: commitFor(text) });
    const builder = (await fleet.builder()).builder;
    const { lease } = await builder.lease({ builder: "b1" });
    if (lease === null) throw new Error("the queue is empty");
    held.push(cidFor(text));
    await builder.publish(id, publicationOf(fleet, lease, cidFor(text)));
    for (const region of regions) await this.report(region);
    await watchReplication(fleet.deps);
    return id;
  }

  async goalOf(region: string): Promise<Goal | undefined> {
    const plan: Plan | null = (await this.seeders[region]?.client.plan()) ?? null;
    const nowMs = Date.now();
    const goals = (plan?.goals ?? []).map((envelope) =>
      verifyGoal(envelope, this.fleet.trust, { nowMs }),
    );
    return goals.find(({ environment }) => environment === name.environment);
  }

  async report(region: string): Promise<void> {
    const goal = await this.goalOf(region);
    const own = this.hosts[region] ?? [];
    if (goal !== undefined) obey(goal, own);
    await this.seeders[region]?.client.report({
      held: this.held,
      goalEpochMax: goal?.epoch ?? 0,
      hosts: own.length,
      services: goal === undefined ? [] : [countHosts(goal, own)],
    });
  }

  /** Lets seeders report and the engine look until the rollout ends; answers how many hosts ran it each time. */
  async follow(rollout: number, release: string): Promise<number[]> {
    const running: number[] = [];
    const { admin, deps } = this.fleet;
    for (let turn = 0; turn < 20; turn += 1) {
      for (const region of regions) await this.report(region);
      await driveService({ ...deps }, name);
      running.push(this.runs(release));
      if ((await admin.rollouts.get(rollout)).endedAt !== null) return running;
    }
    throw new Error(`rollout ${rollout}: ${(await admin.rollouts.get(rollout)).reason}`);
  }

  runs(release: string): number {
    return Object.values(this.hosts)
      .flat()
      .filter((host) => host.healthy === release).length;
  }

  async deployAll(text: string): Promise<{ release: string; build: number }> {
    const build = await this.buildOf(text);
    const rollout = await this.fleet.admin.services.deploy("production", "web", { build });
    await this.follow(rollout.id, rollout.release.id);
    return { release: rollout.release.id, build };
  }
}

/** Every host of a region does what the goal says, at once. */
function obey(goal: Goal, own: TestHost[]): void {
  for (const host of own) {
    const wanted = mayRun(goal.switch, goal.salt, host.id) ? goal.run : goal.fallback;
    const isBad = wanted?.commit === bad && goal.run?.id === wanted.id;
    if (isBad) {
      host.failed = wanted.id;
      host.healthy = goal.fallback?.id ?? null;
    } else {
      host.healthy = wanted?.id ?? null;
    }
  }
}

export function countHosts(goal: Goal, own: readonly TestHost[]): ServiceCounts {
  const releases = [...goal.prepare, goal.run, goal.fallback].filter((release) => release !== null);
  const shareOf = ({ id }: TestHost): number => hostShare(goal.salt, id);
  const closed = own.filter((host) => !mayRun(goal.switch, goal.salt, host.id));
  const ids = [...new Set(releases.map((release) => release.id))];
  const healthy = (id: string) => own.filter((host) => host.healthy === id).length;
  return {
    ...name,
    epoch: goal.epoch,
    generation: goal.generation,
    reporting: own.length,
    silent: 0,
    open: own.filter((host) => mayRun(goal.switch, goal.salt, host.id)).length,
    openSilent: 0,
    firstHosts: own.toSorted((a, b) => shareOf(a) - shareOf(b)).map((host) => host.id),
    ladder: makeLadder(closed.map(shareOf).toSorted((a, b) => a - b)),
    releases: ids.map((release) => ({
      release,
      holding: own.length,
      running: healthy(release),
      healthy: healthy(release),
      failed: own.filter((host) => host.failed === release).length,
    })),
    troubled: [],
  };
}
