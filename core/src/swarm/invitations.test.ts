// Who is invited to ask, and who asks: both sides of it, told one by one.
import { expect, test } from "vitest";
import type { SwarmConfig } from "./config.ts";
import type { HavesOrder } from "./events.ts";
import { Script, smallPieces } from "./script.test-kit.ts";

const ask = { type: "requestReceived", artifact: 1, firstChunk: 0, count: 4, request: 1 } as const;

function inviting(config: Partial<SwarmConfig> = {}): Script {
  const limits = { uploadsToEmpty: 8, uploadSlotsQuick: 1, invitesAhead: 1, haveDelayMs: 10_000 };
  return new Script(smallPieces(8), { invites: true, ...limits, ...config });
}

function linksOf(orders: readonly { readonly link: number }[]): readonly number[] {
  return orders.map(({ link }) => link);
}

/** A have that says nothing new. */
function invitation(
  link: number,
  piece: number,
): Omit<HavesOrder, "type"> & { type: "havesReceived" } {
  return { type: "havesReceived", link, artifact: 1, pieces: Uint32Array.of(piece), count: 1 };
}

test("as many are invited as could be served soon, by a have that they know of", () => {
  const script = inviting().joinArtifact([0, 1, 2, 3]);
  for (const link of [1, 2, 3]) script.openPeer(link, []);
  const haves = script.take("haves");
  expect(linksOf(haves)).toEqual([1, 2]);
  for (const { pieces, count } of haves) expect([...pieces.subarray(0, count)]).toEqual([0]);
});

test("what waits to be announced goes with an invitation", () => {
  const script = inviting({ uploadSlotsQuick: 1, invitesAhead: 0 }).joinArtifact();
  script.openPeer(1, [0, 1], { seeder: true }).openPeer(2, []);
  for (const request of script.take("request")) script.deliver(request);
  const invited = script.take("haves").filter(({ link }) => link === 2);
  expect(invited.map(({ pieces, count }) => [...pieces.subarray(0, count)])).toMatchObject([
    [expect.any(Number), expect.any(Number)],
  ]);
});

test("who was served longest ago is invited first, and nobody that lacks nothing", () => {
  const script = inviting({ uploadSlotsQuick: 1, invitesAhead: 0 }).joinArtifact("all");
  script.openPeer(1, "all").openPeer(2, []);
  expect(linksOf(script.take("haves"))).toEqual([2]);
  script.openPeer(3, []);
  script.tell({ ...ask, link: 2 });
  script.now += 10;
  script.tell({ type: "uploadEnded", link: 2, request: 1, outcome: "sent" });
  expect(linksOf(script.take("haves"))).toEqual([3]);
});

test("another is invited when one doesn't answer, and that one again only after a pause", () => {
  const config = { invitesAhead: 0, inviteMs: 5, inviteMsMax: 500, inviteAgainUploads: 1 };
  const script = inviting(config).joinArtifact("all");
  script.openPeer(1, []).openPeer(2, []);
  script.tell({ ...ask, link: 1 });
  script.now += 100;
  script.tell({ type: "uploadEnded", link: 1, request: 1, outcome: "sent" });
  script.forgetOrders();
  // After the 5 ms, when it is looked at again: five times while an upload takes.
  expect(linksOf(script.wait(20).take("haves"))).toEqual([1]);
  expect(linksOf(script.wait(99).take("haves"))).toEqual([]);
  expect(linksOf(script.wait(2).take("haves"))).toEqual([2]);
});

test("where uploads are long and answers quick, nobody is invited before there is room", () => {
  /** How many are invited while uploads go on, each begun by who was invited last; not counting what it is learned from. */
  const invitedMeanwhile = (uploadMs: number, answerMs: number): number => {
    const script = inviting({ inviteMs: 2 * answerMs, inviteMsMax: 500 }).joinArtifact("all");
    for (let link = 1; link <= 12; link += 1) script.openPeer(link, []);
    let invited = linksOf(script.take("haves"));
    let meanwhile = 0;
    for (let turn = 0; turn < 30; turn += 1) {
      const link = invited.at(-1) ?? 1;
      script
        .wait(answerMs)
        .forgetOrders()
        .tell({ ...ask, link });
      const during = script.wait(uploadMs).take("haves").length;
      if (turn > 3) meanwhile += during;
      script.tell({ type: "uploadEnded", link, request: 1, outcome: "sent" });
      invited = linksOf(script.take("haves"));
    }
    return meanwhile;
  };
  expect(invitedMeanwhile(200, 2)).toBe(0);
  expect(invitedMeanwhile(20, 2)).toBeGreaterThan(20);
  expect(invitedMeanwhile(200, 40)).toBeGreaterThan(20);
});

test("nobody is invited by who has enough to do, or by a seeder", () => {
  const script = inviting().joinArtifact("all");
  for (const link of [1, 2]) script.openPeer(link, []).tell({ ...ask, link });
  script.forgetOrders().openPeer(3, []);
  expect(script.take("haves")).toHaveLength(0);
  const seeder = inviting({ seeder: true, offeredPieces: 0, offeredBytes: 0 }).joinArtifact("all");
  expect(seeder.openPeer(1, []).take("haves")).toHaveLength(0);
});

test("a host is asked when it invites, for what its window holds", () => {
  const script = inviting().joinArtifact().openPeer(1, [0, 1, 2, 3, 4]);
  expect(script.take("request")).toHaveLength(0);
  const requests = script.tell(invitation(1, 0)).take("request");
  expect(linksOf(requests)).toEqual([1, 1]);
  for (const request of requests) script.deliver(request);
  expect(script.take("request")).toHaveLength(0);
  expect(script.tell(invitation(1, 0)).take("request")).toHaveLength(2);
});

test("an invitation that comes while the window is full is answered once it isn't", () => {
  const script = inviting().joinArtifact().openPeer(1, [0, 1, 2, 3, 4]);
  const [first] = script.tell(invitation(1, 0)).take("request");
  expect(script.tell(invitation(1, 0)).take("request")).toHaveLength(0);
  if (first !== undefined) script.deliver(first);
  expect(script.take("request")).toHaveLength(1);
});

test("a seeder is asked without an invitation", () => {
  const script = inviting().joinArtifact().openPeer(1, [0], { seeder: true });
  expect(linksOf(script.take("request"))).toEqual([1]);
});

test("without anything for a while, one is asked that didn't invite", () => {
  const script = inviting({ uninvitedAfterMs: 500, uninvitedSilentMs: 60_000 }).joinArtifact();
  script.openPeer(1, [0, 1, 2]).openPeer(2, [3, 4, 5]);
  expect(script.wait(499).take("request")).toHaveLength(0);
  expect(new Set(linksOf(script.wait(1).take("request"))).size).toBe(1);
});

test("who has never invited anybody is asked after a time, and who has isn't", () => {
  const script = inviting({ uninvitedAfterMs: 60_000, uninvitedSilentMs: 1000 }).joinArtifact();
  script.openPeer(1, [0, 1, 2]).openPeer(2, [3]);
  const [request] = script.tell(invitation(2, 3)).take("request");
  if (request !== undefined) script.deliver(request);
  script.tell({ ...invitation(2, 4), pieces: Uint32Array.of(4, 5), count: 2 });
  expect(script.wait(999).take("request")).toHaveLength(0);
  expect(new Set(linksOf(script.wait(1).take("request")))).toEqual(new Set([1]));
});
