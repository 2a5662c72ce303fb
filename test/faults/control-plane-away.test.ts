// The control plane stops in the middle of a rollout, for SHOAL_OUTAGE_SECONDS: hosts restart and join
// meanwhile, everybody acts on the goals that the seeders have, and afterwards the rollout goes on.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { faultConfig } from "./config.ts";
import { Fleet } from "./fleet.ts";
import { allHealthy, build, deploy } from "./person.ts";
import { killProcess } from "./proc.ts";
import { SampleProject } from "./sample-project.ts";
import { waitFor } from "./wait-for.ts";

const minuteMs = 60_000;
const service = "sample";
const hosts = 3;

let fleet: Fleet;
let project: SampleProject;
beforeAll(async () => {
  fleet = await Fleet.start({ hosts, regions: ["eu"] });
  const size = { parts: 2, partBytes: 1024 ** 2, changed: 1 };
  project = await SampleProject.create(join(fleet.dir, "repository"), size);
  await project.register(fleet.client, service);
}, 4 * minuteMs);
afterAll(() => fleet?.[Symbol.asyncDispose](), minuteMs);

/** What a host's program wrote down when it began to serve; null before that. */
async function serves(host: string): Promise<string | null> {
  const home = join(fleet.stateDir(host), "services", "production", service, "home");
  const text = await readFile(join(home, "serving"), "utf8").catch(() => null);
  return text?.trim() ?? null;
}

/** Whether the region's seeder was told of the late host's token: the only one that isn't used up. */
async function knowsToken(): Promise<true | null> {
  const path = join(fleet.stateDir("seeder-eu"), "admissions.json");
  // There is none before it was told of any.
  const told = await readFile(path, "utf8").catch(() => null);
  if (told === null) return null;
  const { tokens } = JSON.parse(told) as { readonly tokens: readonly unknown[] };
  return tokens.length > 0 ? true : null;
}

async function programs(): Promise<number> {
  return (await fleet.programs()).length;
}

// It takes minutes: asked for by its variable.
describe.skipIf(faultConfig.outageMs === 0)("a control plane that is away in a rollout", () => {
  test(
    "holds up nobody who restarts or joins, and goes on where it was",
    { timeout: 6 * minuteMs + faultConfig.outageMs },
    async () => {
      const first = await build(fleet, service, await project.commit("v1"));
      await allHealthy(fleet, hosts, (await deploy(fleet, service, first)).release.id);
      const seeder = await fleet.seederOf("eu");
      const joining = await fleet.prepareHost("host-late", seeder);
      const second = await build(fleet, service, await project.commit("v2"));
      await waitFor("the seeder to know the new host's token", 2 * minuteMs, () => knowsToken());
      const rollout = await fleet.client.services.deploy("production", service, {
        build: second.id,
      });
      await waitFor("the first wave to be open", minuteMs, async () => {
        const { state, hostsOpen } = await fleet.client.rollouts.get(rollout.id);
        return state === "SWITCHING" && hostsOpen > 0 ? true : null;
      });
      await fleet.member("control-plane").kill();
      const awaySinceMs = performance.now();

      // The goal that is out there is acted on: the host of the first wave switches.
      await waitFor("a host to serve v2", minuteMs, async () => {
        const all = await Promise.all([1, 2, 3].map((index) => serves(`host-${index}`)));
        return all.includes("v2") ? true : null;
      });
      // A host restarts with its agent, and another one with everything that it ran.
      await fleet.member("host-1").kill();
      await fleet.member("host-2").kill();
      for (const { pid } of await fleet.programs()) killProcess(pid);
      await fleet.member("host-1").start();
      await fleet.member("host-2").start();
      await waitFor("every host to run its program again", minuteMs, async () =>
        (await programs()) === hosts ? true : null,
      );
      // A new host joins with what a seeder may give it, and runs what its goal says.
      await joining.start();
      await waitFor("the new host to serve", 2 * minuteMs, () => serves("host-late")).catch(
        async (error: unknown) => {
          const log = await readFile(join(fleet.dir, "host-late.log"), "utf8").catch(
            () => "no log",
          );
          throw new Error(`the new host says: ${log.slice(-4000)}`, { cause: error });
        },
      );
      const leftMs = faultConfig.outageMs - (performance.now() - awaySinceMs);
      await sleep(Math.max(0, leftMs));
      expect(await programs()).toBe(hosts + 1);

      await fleet.member("control-plane").start();
      const ended = await waitFor("the rollout to end", 3 * minuteMs, async () => {
        const now = await fleet.client.rollouts.get(rollout.id);
        return now.endedAt === null ? null : now;
      });
      expect(ended).toMatchObject({ state: "SUCCEEDED" });
      await allHealthy(fleet, hosts + 1, rollout.release.id);
    },
  );
});
