// An operator lifts a host's budget in the middle of a download, by its configuration file and SIGHUP.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { kibibyte, mebibyte, minuteMs } from "@shoal/core/units";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet } from "../faults/fleet.ts";
import { allHealthy, build, deploy } from "../faults/person.ts";
import { SampleProject } from "../faults/sample-project.ts";
import { waitFor } from "../faults/wait-for.ts";

const service = "sample";
/** By which the artifact would take five minutes. */
const slowBytesPerSecond = 64 * kibibyte;
const artifactBytes = 20 * mebibyte;
let fleet: Fleet;
let project: SampleProject;

beforeAll(async () => {
  fleet = await Fleet.empty();
  await fleet.startControl();
  await fleet.client.regions.create({ name: "eu", home: true, inService: true });
  const seeder = await fleet.addSeeder("eu");
  await fleet.addBuilder("builder-1");
  await fleet.addHost("host-1", seeder, { downloadBytesPerSecondMax: slowBytesPerSecond });
  const size = { parts: 1, partBytes: artifactBytes, changed: 1 };
  project = await SampleProject.create(join(fleet.dir, "repository"), size);
  await project.register(fleet.client, service);
}, 4 * minuteMs);
afterAll(() => fleet?.[Symbol.asyncDispose](), minuteMs);

const configFile = (): string => join(fleet.dir, "host-1.json");

async function setBudget(bytesPerSecond: unknown): Promise<void> {
  const config = JSON.parse(await readFile(configFile(), "utf8")) as object;
  await writeFile(
    configFile(),
    JSON.stringify({ ...config, downloadBytesPerSecondMax: bytesPerSecond }),
  );
  const { pid } = fleet.member("host-1");
  if (pid === undefined) throw new Error("host-1 doesn't run");
  process.kill(pid, "SIGHUP");
}

/** Lines of the host's log that say something. */
async function logged(text: string): Promise<true | null> {
  return (await readFile(join(fleet.dir, "host-1.log"), "utf8")).includes(text) ? true : null;
}

test(
  "a budget holds until SIGHUP brings another; a file that isn't right changes nothing",
  { timeout: 4 * minuteMs, retry: 0 },
  async () => {
    const built = await build(fleet, service, await project.commit("v1"));
    const deployed = deploy(fleet, service, built);
    await waitFor("the download to begin", minuteMs, () => logged("artifact joined"));
    await setBudget("as fast as you can");
    await waitFor("the refusal", minuteMs / 2, () => logged("config_invalid"));
    expect((await fleet.hosts())[0]?.services[0]?.running ?? null).toBe(null);
    await setBudget(undefined);
    // Far sooner than the first budget would allow: the wait for a rollout's end has a shorter deadline.
    const rollout = await deployed;
    expect(rollout).toMatchObject({ state: "SUCCEEDED" });
    await allHealthy(fleet, 1, rollout.release.id);
  },
);
