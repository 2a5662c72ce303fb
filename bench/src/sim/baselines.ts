// What the same world would come to without our scheduler: everybody from the region's bucket or from
// its seeders alone, and a swarm with Kraken's published limits.
import { mebibyte, type Millis } from "@shoal/core/units";
import type { SwarmConfig } from "@shoal/core/swarm/config";
import { fairShareMs } from "./fair-share.ts";
import { runInLanes } from "./lanes.ts";
import type { OnProgress } from "./run.ts";
import { bytesPerMs, type Scenario } from "./scenario.ts";

export const baselineNames = ["bucket", "seeders", "kraken"] as const;
export type BaselineName = (typeof baselineNames)[number];

export interface Baseline {
  readonly name: BaselineName;
  /** From each host's joining to its end, ascending. */
  readonly tookMs: readonly Millis[];
  readonly bytesFromSeeders: number;
  readonly bytesFromPeers: number;
}

/** Kraken's piece length, as its origin cuts large blobs. */
const krakenPieceBytes = 4 * mebibyte;

/**
 * Our own machine without what Kraken's agents don't have: ten connections for each torrent, also at
 * the seeder, three pieces asked of each (its pipeline), every piece announced at once, nobody served
 * before others, and a seeder that is a peer like all. Kinder than Kraken: endgame, and no timeouts.
 */
export const krakenConfig: Partial<SwarmConfig> = {
  seeder: false,
  linksMax: 10,
  linksWanted: 10,
  hostsAsked: Infinity,
  uploadSlots: 10,
  uploadSlotsForNewcomers: 0,
  uploadsToEmpty: 10,
  invites: false,
  nearHeadStartMs: 0,
  behindHeadStartMs: 0,
  rareHeadStartMs: 0,
  haveDelayMs: 0,
  haveDelayKnownMs: 0,
  windowBytesMin: 3 * krakenPieceBytes,
  windowBytesMax: 3 * krakenPieceBytes,
  downloadBytesOpenMax: 10 * 3 * krakenPieceBytes,
};

/** Runs a world's hosts without their faults of behavior: a source alone has no peers that lie. */
export async function runBaseline(
  name: BaselineName,
  scenario: Scenario,
  onProgress: OnProgress,
): Promise<Baseline> {
  if (name === "kraken") {
    const world = { ...scenario, chunkBytes: krakenPieceBytes };
    const report = await runInLanes(world, onProgress, krakenConfig);
    return { name, ...report };
  }
  const { hosts, artifactBytes, reusedShare, joinMs, slowShare, slowFactor, mbit } = scenario;
  const takers = Array.from({ length: hosts }, (_unused, index) => ({
    joinMs: (joinMs * index) / hosts,
    bytesPerMs: bytesPerMs(mbit) * ((index + 0.5) / hosts < slowShare ? slowFactor : 1),
  }));
  const sourceMbit =
    name === "bucket" ? scenario.bucketMbit : scenario.seeders * scenario.seederMbit;
  const bytes = artifactBytes * (1 - reusedShare);
  const tookMs = fairShareMs(takers, bytes, bytesPerMs(sourceMbit));
  return { name, tookMs, bytesFromSeeders: bytes * hosts, bytesFromPeers: 0 };
}
