// The scheduler among its likes, in virtual time. The bound is the one of the blueprint: what the best
// possible spread of the pieces from one seeder at the hosts' own rate takes.
import { describe, expect, test, vi } from "vitest";
import { Prng } from "../prng.ts";
import { mebibyte } from "../units.ts";
import { describeWaits } from "./waits-for.ts";
import { piecesOf, World, type Host } from "./world.test-kit.ts";

// Whole worlds: on a machine that others use, longer than a unit test usually takes.
vi.setConfig({ testTimeout: 300_000 });

const rateBytesPerMs = 125_000;
const bytes = 64 * mebibyte;
const boundMs = (bytes / rateBytesPerMs) * (1 + Math.floor(Math.log2(30)) / 256);
const isComplete = (host: Host): boolean => host.completeMs !== undefined;
const patienceMs = 120_000;

interface Swarm {
  readonly world: World;
  readonly seeder: Host;
  readonly hosts: readonly Host[];
}

function swarmOf(count: number, seed: number, options: { isTraced?: boolean } = {}): Swarm {
  const world = new World(piecesOf(bytes), seed);
  const seeder = world.add({ name: "seeder", seeder: true, holds: true, ...options });
  const hosts = Array.from({ length: count }, (_unused, index) =>
    world.add({ name: `host-${index}`, ...options }),
  );
  return { world, seeder, hosts };
}

function sum(hosts: readonly Host[], of: (host: Host) => number): number {
  return hosts.reduce((total, host) => total + of(host), 0);
}

describe("a swarm of 30 hosts and one seeder", () => {
  const { world, seeder, hosts } = swarmOf(30, 7);
  world.introduceAll();
  const isDone = world.run(patienceMs, () => hosts.every(isComplete));

  test("finishes near the bound", () => {
    expect(isDone).toBe(true);
    expect(world.now / boundMs).toBeLessThan(1.4);
  });

  test("takes little more than one copy from the seeder", () => {
    const fromSeeder = sum(hosts, (host) => host.progress.bytesFromSeeders);
    const fromPeers = sum(hosts, (host) => host.progress.bytesFromPeers);
    expect(fromSeeder + fromPeers).toBe(30 * bytes);
    expect(fromSeeder / bytes).toBeLessThan(1.5);
    expect(seeder.sentPieces.size).toBe(256);
  });

  test("wastes next to nothing on asking twice", () => {
    expect(sum(hosts, (host) => host.progress.bytesDiscarded)).toBeLessThan(0.02 * 30 * bytes);
  });

  test("bans and drops nobody for the protocol or for stalling", () => {
    const reasons = hosts.flatMap((host) =>
      host.log.filter((event) => event.type === "peerDropped").map((event) => event.reason),
    );
    expect(new Set(reasons)).not.toContain("protocol");
    expect(new Set(reasons)).not.toContain("stalled");
  });
});

test("a seeder hands each piece out once before it hands any out twice", () => {
  const { world, seeder, hosts } = swarmOf(6, 3);
  world.introduceAll();
  let whenAllWereOut: number | undefined;
  world.run(patienceMs, () => {
    if (seeder.sentPieces.size === 256) {
      whenAllWereOut ??= [...seeder.sentPieces.values()].reduce((a, b) => a + b, 0);
    }
    return hosts.every(isComplete);
  });
  // A few are under way twice when the last ones go out.
  expect(whenAllWereOut).toBeLessThan(256 * 1.1);
});

test("hosts that die in the middle hold nobody up", () => {
  const { world, hosts } = swarmOf(20, 11);
  world.introduceAll();
  const [dead, rest] = [hosts.slice(0, 5), hosts.slice(5)];
  for (const [index, host] of dead.entries()) world.after(150 + 40 * index, () => host.die());
  expect(world.run(patienceMs, () => rest.every(isComplete))).toBe(true);
  expect(world.now / boundMs).toBeLessThan(2.5);
});

test("hosts finish without their seeder once every piece is out", () => {
  const { world, seeder, hosts } = swarmOf(12, 13);
  world.introduceAll();
  expect(world.run(patienceMs, () => seeder.sentPieces.size === 256)).toBe(true);
  seeder.die();
  expect(hosts.some(isComplete)).toBe(false);
  expect(world.run(patienceMs, () => hosts.every(isComplete))).toBe(true);
});

test("liars are banned by all they lied to, and everybody else gets the right bytes", () => {
  const { world, hosts } = swarmOf(12, 17);
  const liars = [0, 1].map((index) =>
    world.add({ name: `liar-${index}`, holds: true, lies: true, zone: "a" }),
  );
  world.introduceAll();
  expect(world.run(patienceMs, () => hosts.every(isComplete))).toBe(true);
  expect(sum(hosts, (host) => host.progress.bytesRefused)).toBeGreaterThan(0);
  for (const host of hosts) {
    const refused = host.log.filter((event) => event.type === "chunkRefused");
    for (const { peer } of refused) expect(liars.map((liar) => liar.known.peerId)).toContain(peer);
    for (const liar of liars) {
      const lied = refused.some(({ peer }) => peer === liar.known.peerId);
      if (lied) expect(host.linkTo(liar)).toBeUndefined();
    }
  }
});

test("peers that take requests and answer nothing cost time and are dropped", () => {
  const { world, hosts } = swarmOf(6, 19);
  const silent = world.add({ name: "silent", holds: true, isSilent: true });
  world.introduceAll();
  expect(world.run(patienceMs, () => hosts.every(isComplete))).toBe(true);
  const stalls = hosts.flatMap((host) =>
    host.log.filter((event) => event.type === "requestsStalled").map((event) => event.peer),
  );
  for (const peer of stalls) expect(peer).toBe(silent.known.peerId);
  // The end of the transfer repeats what a silent peer was asked for before the watchdog wakes.
  expect(world.now).toBeLessThan(8000);
});

test("a silent peer that alone has the rest is dropped, and says so in the log", () => {
  const world = new World(piecesOf(4 * mebibyte), 5);
  const silent = world.add({ name: "silent", holds: true, isSilent: true });
  const host = world.add({ name: "host" });
  world.introduce(host);
  const wasDropped = (): boolean =>
    host.log.some((event) => event.type === "peerDropped" && event.reason === "stalled");
  expect(world.run(patienceMs, wasDropped)).toBe(true);
  expect(host.log.some((event) => event.type === "requestsStalled")).toBe(true);
  expect(describeWaits(host.progress.waits)).toContain("no peer is linked");
  expect(silent.isAlive).toBe(true);
});

test("a host that has part of every piece fetches the rest and nothing else", () => {
  const pieces = piecesOf(16 * mebibyte, 65_536);
  const world = new World(pieces, 23);
  world.add({ name: "seeder", seeder: true, holds: true });
  const host = world.add({ name: "host", holds: (chunk) => chunk % 4 !== 1 });
  world.introduceAll();
  expect(world.run(patienceMs, () => isComplete(host))).toBe(true);
  expect(host.progress.bytesFromSeeders).toBe(4 * mebibyte);
});

test("hosts that come later find room and finish", () => {
  const { world, hosts } = swarmOf(10, 29);
  world.introduceAll();
  const late: Host[] = [];
  for (let index = 0; index < 10; index += 1) {
    world.after(200 + 30 * index, () => {
      const host = world.add({ name: `late-${index}` });
      late.push(host);
      world.introduce(host);
    });
  }
  const isDone = world.run(patienceMs, () => late.length === 10 && late.every(isComplete));
  expect(isDone).toBe(true);
  expect(hosts.every(isComplete)).toBe(true);
  expect(world.now / boundMs).toBeLessThan(3);
});

test("links on which nobody can want anything end", () => {
  const { world, seeder, hosts } = swarmOf(3, 31);
  world.introduceAll();
  world.run(patienceMs, () => hosts.every(isComplete));
  world.run(world.now + 120_000, () => false);
  for (const host of [seeder, ...hosts]) expect(host.progress.links).toBe(0);
});

test("the same seed and the same inputs give the same orders and events", () => {
  const digests = [1, 1, 2].map((seed) => {
    const { world, hosts } = swarmOf(8, seed, { isTraced: true });
    world.introduceAll();
    world.after(200, () => hosts[3]?.die());
    world.run(patienceMs, () => hosts.filter((host) => host.isAlive).every(isComplete));
    return world.digest();
  });
  expect(digests[0]).toBe(digests[1]);
  expect(digests[0]).not.toBe(digests[2]);
});

describe("pausing", () => {
  const change = (host: Host, paused: boolean): void =>
    host.tell({ type: "pauseChanged", artifact: 1, paused });

  test("who is paused serves what it has", () => {
    const { world, seeder, hosts } = swarmOf(1, 5);
    world.introduceAll();
    world.run(200);
    const [host] = hosts as [Host];
    change(host, true);
    world.run(world.now + 50);
    seeder.die();
    const late = world.add({ name: "late" });
    late.tell({ type: "candidatesOffered", artifact: 1, peers: [host.known] });
    world.run(world.now + 20_000);
    expect(host.progress.piecesHeld).toBeGreaterThan(10);
    expect(late.progress.piecesHeld).toBe(host.progress.piecesHeld);
  });

  test("who is paused stands still, and finishes once it goes on", () => {
    const { world, hosts } = swarmOf(6, 11);
    world.introduceAll();
    world.run(200);
    const [host] = hosts as [Host];
    change(host, true);
    // What was under way arrives.
    world.run(world.now + 50);
    const before = host.progress;
    expect(before.chunksHeld).toBeGreaterThan(0);
    expect(world.run(patienceMs, () => hosts.every((one) => one === host || isComplete(one)))).toBe(
      true,
    );
    expect(host.progress.chunksHeld).toBe(before.chunksHeld);
    expect(host.progress.waits?.reason).toBe("paused");
    change(host, false);
    expect(world.run(patienceMs, () => isComplete(host))).toBe(true);
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])("all finish after pauses at any time, seed %i", (seed) => {
    const { world, hosts } = swarmOf(8, seed);
    const prng = new Prng(seed);
    world.introduceAll();
    for (let turn = 0; turn < 40; turn += 1) {
      const host = hosts[prng.below(hosts.length)] as Host;
      world.after(prng.below(2000), () => change(host, turn % 2 === 0));
    }
    for (const host of hosts) world.after(2000, () => change(host, false));
    expect(world.run(patienceMs, () => hosts.every(isComplete))).toBe(true);
    const dropped = hosts.flatMap(({ log }) => log.filter(({ type }) => type === "peerDropped"));
    expect(dropped.filter((event) => "reason" in event && event.reason !== "unneeded")).toEqual([]);
  });
});
