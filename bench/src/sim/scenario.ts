// What a simulated world is like. One world is one region: hosts of other regions get their bytes from
// their own seeders. docs/SIMULATOR.md says what each field means to the result.
import { downloadBytesOpenMax } from "@shoal/core/limits";
import { kibibyte, mebibyte, type Bytes, type Millis } from "@shoal/core/units";

export interface Scenario {
  readonly seed: number;
  readonly hosts: number;
  /** Hosts take turns. Half a round trip is what a message takes. */
  readonly zones: number;
  readonly zoneRttMs: Millis;
  readonly regionRttMs: Millis;
  readonly artifactBytes: Bytes;
  /** One chunk is one event of a transfer: large ones make large worlds affordable. */
  readonly chunkBytes: Bytes;
  /** Share of the chunks that every host has from an earlier release. */
  readonly reusedShare: number;
  readonly mbit: number;
  readonly seeders: number;
  readonly seederMbit: number;
  /** Hashing and writing, one chunk after the other. */
  readonly diskBytesPerMs: number;
  /** What the region's hosts can read from the bucket together: for a baseline only. */
  readonly bucketMbit: number;
  /** What each host may have asked for and not yet stored. */
  readonly memoryBytes: Bytes;
  /** What each host may send to other zones; 0 is no limit. */
  readonly farMbit: number;
  /** Hosts join evenly over this time. */
  readonly joinMs: Millis;
  readonly slowShare: number;
  readonly slowFactor: number;
  /** Share of the hosts that die in a minute, until `faultsEndMs`. */
  readonly deathsPerMinute: number;
  readonly comeBackMs: Millis;
  /** Share of those that come back without what they had. */
  readonly wipedShare: number;
  readonly faultsEndMs: Millis;
  /** When others notice that a host died: at once for a process, late for a machine. */
  readonly deathNoticedMs: Millis;
  readonly lyingShare: number;
  readonly silentShare: number;
  /** All seeders die as soon as each piece is out. */
  readonly seedersDie: boolean;
  /** Threads that share the hosts. Part of the scenario, since what happens at the same time has another order. */
  readonly lanes: number;
  /** Nothing lasts longer; who isn't done by then isn't. */
  readonly patienceMs: Millis;
}

/** Worlds of so many hosts have two lanes: less of them waits for each other than is done at once. */
const hostsOfLanesMin = 1000;

export function scenarioWith(given: Partial<Scenario>): Scenario {
  const { hosts = 30, mbit = 1000, artifactBytes = 256 * mebibyte, seedersDie = false } = given;
  const { zoneRttMs = 0.5, regionRttMs = 1.5 } = given;
  const idealMs = artifactBytes / bytesPerMs(mbit);
  return {
    seed: 1,
    hosts,
    zones: 1,
    zoneRttMs,
    regionRttMs,
    artifactBytes,
    chunkBytes: artifactBytes >= 1024 * mebibyte ? 4 * mebibyte : 256 * kibibyte,
    reusedShare: 0,
    mbit,
    seeders: 1,
    seederMbit: mbit,
    diskBytesPerMs: 1_000_000,
    bucketMbit: 25_000,
    memoryBytes: downloadBytesOpenMax,
    farMbit: 0,
    joinMs: 0,
    slowShare: 0,
    slowFactor: 0.1,
    deathsPerMinute: 0,
    comeBackMs: 10_000,
    wipedShare: 0.3,
    faultsEndMs: idealMs,
    deathNoticedMs: 100,
    lyingShare: 0,
    silentShare: 0,
    seedersDie,
    lanes: hosts >= hostsOfLanesMin && !seedersDie && zoneRttMs * regionRttMs > 0 ? 2 : 1,
    patienceMs: 120_000 + 100 * idealMs,
    ...given,
  };
}

export function bytesPerMs(mbit: number): number {
  return (mbit * 1_000_000) / 8 / 1000;
}
