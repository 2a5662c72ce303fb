// Peers are found without a seeder, over real nodes on the loopback.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { artifactOf, Fleet, join, type Member, seed, until } from "./fleet.test-kit.ts";

let fleet: Fleet;
beforeEach(() => {
  fleet = new Fleet();
});
afterEach(() => fleet.close());

const artifact = artifactOf(8, 1, 64 * 1024);
const other = artifactOf(4, 2, 64 * 1024);
const never = AbortSignal.timeout(60_000);

/** Members of another artifact in a row, each linked with the next one only. */
async function chain(members: readonly Member[]): Promise<void> {
  const [first, ...rest] = members;
  if (first === undefined) return;
  seed(first, other);
  let before = first;
  for (const member of rest) {
    const { membership } = join(member, other);
    membership.addPeers([before.candidate]);
    await membership.done;
    before = member;
  }
}

describe("looking for peers without a seeder", () => {
  test("finds a member that only a peer's peer is linked with", async () => {
    const members = [await fleet.member(), await fleet.member(), await fleet.member()];
    await chain(members);
    const [first, , last] = members;
    if (first === undefined || last === undefined) throw new Error("there are three");
    seed(first, artifact);
    expect(await first.node.findPeers(artifact.cid, never)).toEqual([]);
    const { membership } = join(last, artifact);
    // The row's links end when nobody needs them; what was learnt over them stays.
    for (let found = false; !found;) {
      const peers = await last.node.findPeers(artifact.cid, never);
      found = peers.some(({ peerId }) => peerId === first.node.peerId);
      membership.addPeers(peers);
      never.throwIfAborted();
    }
    await membership.done;
  });

  test("isn't needed for whoever is told of one member: that one tells of the others", async () => {
    const [first, second, newcomer] = [
      await fleet.member(),
      await fleet.member(),
      await fleet.member(),
    ];
    seed(first, artifact);
    const before = join(second, artifact).membership;
    before.addPeers([first.candidate]);
    await before.done;
    // Slow enough that the newcomer isn't done before it is anybody's turn to dial.
    second.node.setBudgets({ uploadBytesPerSecond: 128 * 1024 });
    const { membership } = join(newcomer, artifact);
    membership.addPeers([second.candidate]);
    await until(
      () => newcomer.node.linkedPeers().some(({ peerId }) => peerId === first.node.peerId),
      () => `${newcomer.node.linkedPeers().length} peers are linked`,
    );
    await membership.done;
    expect(membership.progress().bytesFromPeers).toBe(artifact.manifest.bytes);
  });

  test("finds nobody for a node that nobody is linked with", async () => {
    const lonely = await fleet.member();
    expect(await lonely.node.findPeers(artifact.cid, never)).toEqual([]);
  });

  test("is not for a peer without a passport", async () => {
    const member = await fleet.member();
    const stranger = await fleet.member({ hasPassport: () => false });
    seed(member, artifact);
    const { membership } = join(stranger, artifact);
    membership.addPeers([member.candidate]);
    expect(await stranger.node.findPeers(artifact.cid, never)).toEqual([]);
    expect(stranger.node.linkedPeers()).toEqual([]);
  });
});
