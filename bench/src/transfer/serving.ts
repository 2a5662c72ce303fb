// `bench transfer --serving`: one agent fetches an artifact from a seeder while others take from it what it
// has; what counts is how much memory it takes at its peak.
import { join } from "node:path";
import { gibibyte } from "@shoal/core/units";
import { readReleaseManifest } from "@shoal/store/release-records";
import { type Measured, rounded } from "../result.ts";
import { onLoopback, region, SwarmFleet, type FleetHost } from "../swarm/swarm-fleet.ts";
import { SwarmWatch } from "../swarm/swarm-watch.ts";
import { cpuSeconds, whenIdle } from "./cpu.ts";
import { rssMiB, rssPeakMiB, whenFetched } from "./ours.ts";
import { Takers } from "./takers.ts";

const joinMsMax = 60_000;

export async function measureServing(options: {
  readonly mib: number;
  readonly takers: number;
}): Promise<Measured> {
  const { mib, takers: takersCount } = options;
  const progress = (text: string): unknown => process.stderr.write(`${text}\n`);
  await using fleet = await SwarmFleet.start({ place: onLoopback, progress });
  await fleet.startHosts(1);
  const host = fleet.hosts[0] as FleetHost;
  const pid = host.agent.pid ?? 0;
  progress("building");
  const { build, artifact, bytes } = await fleet.build(mib);
  await whenIdle([pid]);
  const rssIdleMiB = await rssMiB(pid);
  const cpuBefore = await cpuSeconds(pid);
  const startMs = performance.now();
  await fleet.deploy({ build, artifact, bytes });
  const watch = new SwarmWatch(fleet.hosts, artifact);
  const hasJoined = (): boolean => watch.hosts[0]?.joinedAt !== undefined;
  if (!(await watch.until(hasJoined, joinMsMax))) throw new Error("the host fetches nothing");
  await using takers = new Takers();
  const found = await readReleaseManifest(join(host.stateDir, "releases", artifact));
  if (found === undefined) throw new Error("the host has no manifest");
  const from = {
    peerId: String(host.facts["peerId"]),
    swarmAddresses: host.facts["swarmAddresses"] as string[],
    ...{ zone: "default", seeder: false },
  };
  const where = { region, environment: "production" };
  await takers.start(takersCount, fleet.keys, {
    ...{ cid: artifact, manifest: found.manifest, from },
    ...where,
  });
  progress(`${takersCount} members take from the agent`);
  await whenFetched(fleet, artifact, 1);
  const seconds = (performance.now() - startMs) / 1000;
  const taken = takers.bytes();
  if (taken.some((each) => each === 0)) throw new Error("not everyone was served");
  const takenBytes = taken.reduce((sum, each) => sum + each, 0);
  return {
    settings: { mib, serving: takersCount },
    runs: [{ bytes, seconds, takenBytesEach: [...taken] }],
    figures: {
      rssPeakMiB: rounded(await rssPeakMiB(pid)),
      rssIdleMiB: rounded(rssIdleMiB),
      wallSeconds: rounded(seconds),
      agentCpuSeconds: rounded((await cpuSeconds(pid)) - cpuBefore),
      takersServed: taken.filter((each) => each > 0).length,
      takenGiB: rounded(takenBytes / gibibyte),
    },
  };
}
