import { derivePieces } from "@shoal/core/content/pieces";
import { digest, toHex } from "@shoal/core/digest";
import { describeWaits } from "@shoal/core/swarm/waits-for";
import { createKey } from "@shoal/trust/key-file";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type Artifact,
  artifactOf,
  Fleet,
  join,
  LyingStorage,
  type Member,
  MemoryStorage,
  until,
} from "./fleet.test-kit.ts";
import type { Membership } from "./peer-node.ts";

/** Says what was read, and can be made to wait or fail. */
class ProbedStorage extends MemoryStorage {
  readonly #artifact: Artifact;
  beforeWrite: (chunk: number) => Promise<void> = async () => undefined;
  afterWrite: () => void = () => undefined;
  readsCount = 0;

  constructor(artifact: Artifact, holds: (chunk: number) => boolean) {
    super(artifact, holds);
    this.#artifact = artifact;
  }

  get heldCount(): number {
    return this.chunks.filter((chunk) => chunk !== undefined).length;
  }

  /** Whether every byte is here and right. */
  get isWhole(): boolean {
    return this.#artifact.chunks.every((chunk, index) => {
      const held = this.chunks[index];
      return held !== undefined && toHex(digest(held)) === toHex(digest(chunk));
    });
  }

  override async readRun(firstChunk: number, count: number, into: Uint8Array): Promise<void> {
    this.readsCount += count;
    await super.readRun(firstChunk, count, into);
  }

  override async writeRun(firstChunk: number, count: number, bytes: Uint8Array): Promise<void> {
    await this.beforeWrite(firstChunk);
    await super.writeRun(firstChunk, count, bytes);
    this.afterWrite();
  }
}

interface Joined {
  readonly storage: ProbedStorage;
  readonly membership: Membership;
}

const all = (): boolean => true;
const none = (): boolean => false;
const timeoutMs = 60_000;

let fleet: Fleet;
beforeEach(() => {
  fleet = new Fleet();
});
afterEach(() => fleet.close());

function start(count: number): Promise<readonly Member[]> {
  return Promise.all(Array.from({ length: count }, () => fleet.member()));
}

function joinWith(member: Member, artifact: Artifact, holds: (chunk: number) => boolean): Joined {
  const storage = new ProbedStorage(artifact, holds);
  return { storage, membership: join(member, artifact, storage).membership };
}

/** Everybody is told of everybody else. */
function introduce(members: readonly Member[], joined: readonly Joined[]): void {
  const candidates = members.map((member) => member.candidate);
  for (const { membership } of joined) membership.addPeers(candidates);
}

/** Resolves when all are done, with whether every byte is right everywhere. */
async function finish(joined: readonly Joined[]): Promise<boolean> {
  await Promise.all(joined.map(({ membership }) => membership.done));
  return joined.every(({ storage }) => storage.isWhole);
}

function sum(joined: readonly Joined[], key: "bytesFromSeeders" | "bytesFromPeers"): number {
  return joined.reduce((total, { membership }) => total + membership.progress()[key], 0);
}

describe("an artifact", { timeout: timeoutMs }, () => {
  test("comes whole from a seeder", async () => {
    const artifact = artifactOf(20, 1);
    const seeder = await fleet.member({ seeder: true });
    const host = await fleet.member();
    joinWith(seeder, artifact, all);
    const { storage, membership } = joinWith(host, artifact, none);
    membership.addPeers([seeder.candidate]);
    await membership.done;
    expect(storage.isWhole).toBe(true);
    expect(membership.progress()).toMatchObject({
      chunksHeld: 20,
      chunksCount: 20,
      bytesFromSeeders: artifact.manifest.bytes,
      bytesFromPeers: 0,
      bytesRefused: 0,
      waits: undefined,
    });
  });

  test.for([
    ["no chunk", 0, 1],
    ["one tiny chunk", 1, 16],
    ["one large chunk", 1, 690_000],
    ["many tiny chunks", 300, 64],
  ] as const)("of %s is fetched", async ([, chunkCount, meanBytes]) => {
    const artifact = artifactOf(chunkCount, 1, meanBytes);
    const seeder = await fleet.member({ seeder: true });
    const hosts = await start(2);
    joinWith(seeder, artifact, all);
    const joined = hosts.map((host) => joinWith(host, artifact, none));
    introduce([seeder, ...hosts], joined);
    expect(await finish(joined)).toBe(true);
  });

  test("comes from peers more than from the seeder when six hosts want it", async () => {
    const artifact = artifactOf(96, 1);
    const seeder = await fleet.member({ seeder: true });
    const hosts = await start(6);
    joinWith(seeder, artifact, all);
    const joined = hosts.map((host) => joinWith(host, artifact, none));
    introduce([seeder, ...hosts], joined);
    expect(await finish(joined)).toBe(true);
    const [seeded, shared] = [sum(joined, "bytesFromSeeders"), sum(joined, "bytesFromPeers")];
    expect(seeded + shared).toBe(6 * artifact.manifest.bytes);
    expect(shared).toBeGreaterThan(seeded);
  });

  test("that is held in part is fetched for the rest only", async () => {
    const artifact = artifactOf(40, 1);
    const seeder = await fleet.member({ seeder: true });
    const host = await fleet.member();
    joinWith(seeder, artifact, all);
    const isHeld = (chunk: number): boolean => chunk % 3 === 0 || chunk > 30;
    const { storage, membership } = joinWith(host, artifact, isHeld);
    const missing = artifact.chunks.filter((_bytes, chunk) => !isHeld(chunk));
    const missingBytes = missing.reduce((total, bytes) => total + bytes.length, 0);
    membership.addPeers([seeder.candidate]);
    await membership.done;
    expect(storage.isWhole).toBe(true);
    expect(membership.progress().bytesFromSeeders).toBe(missingBytes);
  });

  test("comes together from hosts that hold parts of it, without a seeder", async () => {
    const artifact = artifactOf(40, 1);
    const { pieceOf } = derivePieces(artifact.manifest);
    const hosts = await start(4);
    const joined = hosts.map((host, index) =>
      joinWith(host, artifact, (chunk) => pieceOf(chunk) % 4 === index),
    );
    introduce(hosts, joined);
    expect(await finish(joined)).toBe(true);
    expect(sum(joined, "bytesFromSeeders")).toBe(0);
  });

  test("reaches twelve hosts that join at once from one address", async () => {
    const artifact = artifactOf(8, 1);
    const seeder = await fleet.member({ seeder: true });
    const hosts = await start(12);
    joinWith(seeder, artifact, all);
    const joined = hosts.map((host) => joinWith(host, artifact, none));
    introduce([seeder, ...hosts], joined);
    expect(await finish(joined)).toBe(true);
  });
});

describe("a link", { timeout: timeoutMs }, () => {
  test("is one for each pair, also when both dial at once", async () => {
    const artifact = artifactOf(8, 1);
    const hosts = await start(4);
    // Each lacks something that others have, so that all want links and keep them.
    const joined = hosts.map((host, index) =>
      joinWith(host, artifact, (chunk) => chunk < 7 && chunk % 4 !== index),
    );
    introduce(hosts, joined);
    const progress = (): string => JSON.stringify(joined.map((j) => j.membership.progress()));
    await until(
      () => joined.every(({ membership }) => membership.progress().chunksHeld === 7),
      progress,
    );
    await until(
      () => joined.every(({ membership }) => membership.progress().links === 3),
      progress,
    );
    expect(joined.map(({ membership }) => membership.progress().links)).toEqual([3, 3, 3, 3]);
  });

  test("isn't opened for a passport that nobody trusts, whoever dials", async () => {
    const artifact = artifactOf(8, 1);
    const seeder = await fleet.member({ seeder: true });
    const [forger, host] = [await fleet.member({ issuer: createKey() }), await fleet.member()];
    const served = joinWith(seeder, artifact, all);
    const fooled = joinWith(forger, artifact, none);
    const honest = joinWith(host, artifact, none);
    fooled.membership.addPeers([seeder.candidate, host.candidate]);
    honest.membership.addPeers([forger.candidate, seeder.candidate]);
    await honest.membership.done;
    expect(fooled.storage.heldCount).toBe(0);
    expect(fooled.membership.progress().links).toBe(0);
    expect(served.storage.readsCount).toBe(8);
  });

  test("gives nothing of an artifact that the peer's passport doesn't allow", async () => {
    const [open, closed] = [artifactOf(4, 1), artifactOf(4, 2)];
    const seeder = await fleet.member({
      seeder: true,
      deps: { allows: (artifact) => artifact === open.cid },
    });
    const host = await fleet.member();
    joinWith(seeder, open, all);
    const secret = joinWith(seeder, closed, all);
    const refused = joinWith(host, closed, none);
    const given = joinWith(host, open, none);
    refused.membership.addPeers([seeder.candidate]);
    given.membership.addPeers([seeder.candidate]);
    await given.membership.done;
    expect(refused.storage.heldCount).toBe(0);
    expect(secret.storage.readsCount).toBe(0);
  });

  test("has a part that is open to whom the whole is, and to nobody else", async () => {
    const [whole, part] = [artifactOf(4, 1), artifactOf(4, 2)];
    const seeder = await fleet.member({
      seeder: true,
      deps: {
        allows: (artifact, { environment }) =>
          artifact === whole.cid && environment === "production",
      },
    });
    const host = await fleet.member();
    const stranger = await fleet.member({ environment: "testing" });
    const [given, refused] = [seeder, host, stranger].flatMap((member) => {
      const isSeeder = member === seeder;
      const storage = new ProbedStorage(part, isSeeder ? all : none);
      const { cid, manifest } = part;
      const options = { cid, partOf: whole.cid, manifest, storage, priority: 1 };
      const membership = member.node.join(options);
      if (!isSeeder) membership.addPeers([seeder.candidate]);
      return isSeeder ? [] : [{ storage, membership }];
    });
    await given?.membership.done;
    expect(given?.storage.isWhole).toBe(true);
    expect(refused?.storage.heldCount).toBe(0);
  });

  test("is opened once a node has got its passport", async () => {
    const artifact = artifactOf(4, 1);
    let hasPassport = false;
    const seeder = await fleet.member({ seeder: true });
    const host = await fleet.member({ hasPassport: () => hasPassport });
    joinWith(seeder, artifact, all);
    const { storage, membership } = joinWith(host, artifact, none);
    membership.addPeers([seeder.candidate]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(storage.heldCount).toBe(0);
    hasPassport = true;
    await membership.done;
    expect(storage.isWhole).toBe(true);
  });
});

describe("when something goes wrong", { timeout: timeoutMs }, () => {
  test("a peer that sends wrong bytes is dropped, and the artifact is right", async () => {
    const artifact = artifactOf(40, 1);
    const seeder = await fleet.member({ seeder: true });
    const [liar, host] = [await fleet.member(), await fleet.member()];
    joinWith(seeder, artifact, all);
    join(liar, artifact, new LyingStorage(artifact, all));
    const { storage, membership } = joinWith(host, artifact, none);
    membership.addPeers([liar.candidate]);
    await until(
      () => membership.progress().bytesRefused > 0,
      () => describeWaits(membership.progress().waits),
    );
    membership.addPeers([seeder.candidate, liar.candidate]);
    await membership.done;
    expect(storage.isWhole).toBe(true);
    const { bytesFromSeeders, bytesFromPeers } = membership.progress();
    expect([bytesFromSeeders, bytesFromPeers]).toEqual([artifact.manifest.bytes, 0]);
  });

  test("a peer that goes in the middle is replaced", async () => {
    const artifact = artifactOf(120, 1);
    const [first, second, host] = await start(3);
    if (first === undefined || second === undefined || host === undefined) return;
    joinWith(first, artifact, all);
    joinWith(second, artifact, all);
    const { storage, membership } = joinWith(host, artifact, none);
    const ended: Promise<void>[] = [];
    storage.afterWrite = () => {
      if (storage.heldCount >= 20 && ended.length === 0) ended.push(first.node.stop());
    };
    membership.addPeers([first.candidate, second.candidate]);
    await membership.done;
    await Promise.all(ended);
    expect(ended).toHaveLength(1);
    expect(storage.isWhole).toBe(true);
  });

  test("hosts finish without the seeder once every piece is out", async () => {
    const artifact = artifactOf(40, 1);
    const { pieceOf, count } = derivePieces(artifact.manifest);
    const seeder = await fleet.member({ seeder: true });
    const hosts = await start(4);
    joinWith(seeder, artifact, all);
    const joined = hosts.map((host) => joinWith(host, artifact, none));
    // A piece is out when one host has all of it: parts of pieces aren't offered.
    const isOut = (piece: number): boolean =>
      joined.some(({ storage }) =>
        storage.chunks.every((chunk, index) => pieceOf(index) !== piece || chunk !== undefined),
      );
    const ended: Promise<void>[] = [];
    for (const { storage } of joined) {
      storage.afterWrite = () => {
        if (ended.length > 0 || !Array.from({ length: count }, (_none, p) => p).every(isOut))
          return;
        ended.push(seeder.node.stop());
      };
    }
    introduce([seeder, ...hosts], joined);
    expect(await finish(joined)).toBe(true);
    await Promise.all(ended);
    expect(ended).toHaveLength(1);
  });

  test("a storage that fails ends the membership with its reason", async () => {
    const artifact = artifactOf(8, 1);
    const seeder = await fleet.member({ seeder: true });
    const host = await fleet.member();
    joinWith(seeder, artifact, all);
    const { storage, membership } = joinWith(host, artifact, none);
    storage.beforeWrite = () => Promise.reject(new Error("the disk is full"));
    membership.addPeers([seeder.candidate]);
    await expect(membership.done).rejects.toThrow("the disk is full");
  });

  test("a node that leaves before the end says so, and keeps what it counted", async () => {
    const artifact = artifactOf(8, 1);
    const host = await fleet.member();
    const { membership } = joinWith(host, artifact, (chunk) => chunk < 3);
    await membership.leave();
    await membership.leave();
    await expect(membership.done).rejects.toMatchObject({ blame: "local" });
    expect(membership.progress().chunksHeld).toBe(3);
  });

  test("a chunk that can't be read any more comes from another peer", async () => {
    const artifact = artifactOf(8, 1);
    const [damaged, sound, host] = await start(3);
    if (damaged === undefined || sound === undefined || host === undefined) return;
    const broken = joinWith(damaged, artifact, all);
    broken.storage.chunks[5] = undefined;
    const { storage, membership } = joinWith(host, artifact, none);
    membership.addPeers([damaged.candidate]);
    await until(
      // Its neighbors in the piece may be missing, too: a run is read whole.
      () => storage.writes > 3 && membership.progress().waits?.reason === "notOffered",
      () => describeWaits(membership.progress().waits),
    );
    joinWith(sound, artifact, all);
    membership.addPeers([sound.candidate]);
    await membership.done;
    expect(storage.isWhole).toBe(true);
  });
});
