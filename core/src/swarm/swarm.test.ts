// What the scheduler orders, told one fact at a time.
import { describe, expect, test } from "vitest";
import { kibibyte } from "../units.ts";
import type { SwarmConfig } from "./config.ts";
import type { SwarmInput } from "./events.ts";
import { bits, Script, smallPieces } from "./script.test-kit.ts";

describe("asking", () => {
  test("asks for the missing chunks of a piece and not for the held ones", () => {
    const script = new Script(smallPieces(1)).joinArtifact([1]).openPeer(1, "all");
    const runs = script.take("request").map(({ firstChunk, count }) => [firstChunk, count]);
    expect(runs).toEqual([
      [0, 1],
      [2, 2],
    ]);
  });

  test("asks for the rarest piece first", () => {
    const script = new Script(smallPieces(4), { windowBytesMin: 1 }).joinArtifact();
    script.openPeer(1, [0, 1, 3]).openPeer(2, [0, 1, 3]).forgetOrders();
    script.openPeer(3, "all");
    const [first] = script.take("request");
    expect(first).toMatchObject({ link: 3, firstChunk: 8, count: 4 });
  });

  test("asks a link for what its window holds and one run more", () => {
    const script = new Script(smallPieces(64), { windowBytesMin: 512 * kibibyte }).joinArtifact();
    script.openPeer(1, "all");
    expect(script.take("request")).toHaveLength(2);
  });

  test("asks for no more than memory takes, and goes on when chunks are stored", () => {
    const script = new Script(smallPieces(64), { downloadBytesOpenMax: 1024 * kibibyte });
    script.joinArtifact();
    for (let link = 1; link <= 8; link += 1) script.openPeer(link, "all");
    const requests = script.take("request");
    expect(requests).toHaveLength(4);
    for (const request of requests) {
      for (let chunk = request.firstChunk; chunk < request.firstChunk + 4; chunk += 1) {
        script.tell({ type: "chunkReceived", link: request.link, request: request.request, chunk });
      }
    }
    // Received isn't stored: the bytes are still in memory.
    expect(script.take("request")).toHaveLength(0);
    for (const { artifact, chunk, link } of script.take("accept")) {
      script.tell({ type: "chunkStored", artifact, chunk, link });
    }
    expect(script.take("request").length).toBeGreaterThan(2);
  });

  test("asks for the artifact with the higher priority first", () => {
    const script = new Script(smallPieces(8), { windowBytesMin: 1 });
    script.joinArtifact([], 1, 0).joinArtifact([], 2, 5);
    script.openPeer(1, "all", { artifacts: [1, 2] }).forgetOrders();
    script.openPeer(2, "all", { artifacts: [1] }).openPeer(3, "all", { artifacts: [2] });
    script.forgetOrders();
    script.tell({ type: "linkClosed", link: 1 }).openPeer(4, "all", { artifacts: [2, 1] });
    expect(script.take("request")[0]).toMatchObject({ link: 4, artifact: 2 });
  });

  test("asks another peer when one refuses, and that one not again", () => {
    const script = new Script(smallPieces(1)).joinArtifact().openPeer(1, [0]);
    const [first] = script.take("request");
    script.openPeer(2, [0]);
    expect(script.take("request")).toHaveLength(0);
    script.tell({ type: "rejectReceived", link: 1, request: first?.request ?? -1 });
    expect(script.take("request")).toMatchObject([{ link: 2, firstChunk: 0, count: 4 }]);
    expect(script.wait(60_000).take("request")).toHaveLength(0);
  });

  test("asks the same peer again when what should have carried the chunks is gone", () => {
    const script = new Script(smallPieces(1)).joinArtifact().openPeer(1, [0]);
    const [first] = script.take("request");
    script.tell({ type: "requestLost", link: 1, request: first?.request ?? -1 });
    expect(script.take("request")).toMatchObject([{ link: 1, firstChunk: 0, count: 4 }]);
    script.tell({ type: "requestLost", link: 1, request: first?.request ?? -1 });
    expect(script.take("drop")).toHaveLength(0);
  });

  test("asks another peer when one is late, and drops the late one in the end", () => {
    const script = new Script(smallPieces(2), { endgameCopies: 1 }).joinArtifact();
    script.openPeer(1, "all");
    const first = script.take("request");
    script.wait(4000).openPeer(2, "all");
    expect(script.take("request")).toHaveLength(0);
    script.wait(4000);
    expect(script.take("cancel").map(({ request }) => request)).toEqual(
      first.map(({ request }) => request),
    );
    const again = script.take("request");
    expect(again.map(({ link }) => link)).toEqual([2, 2]);
    for (const request of again) script.deliver(request);
    expect(script.take("complete")).toHaveLength(1);
    expect(script.wait(30_000).take("drop")).toMatchObject([{ link: 1, reason: "stalled" }]);
  });

  test("takes a chunk that comes after its cancel, when it is still of use", () => {
    const script = new Script(smallPieces(1), { endgameCopies: 1 }).joinArtifact().openPeer(1, [0]);
    const [first] = script.take("request");
    script.wait(8000);
    expect(script.take("cancel")).toHaveLength(1);
    script.tell({ type: "chunkReceived", link: 1, request: first?.request ?? -1, chunk: 0 });
    expect(script.take("accept")).toHaveLength(1);
  });

  test("repeats what is late at the end, and cancels what isn't needed then", () => {
    const script = new Script(smallPieces(1)).joinArtifact().openPeer(1, [0]).openPeer(2, [0]);
    const [slow] = script.take("request");
    expect(slow?.link).toBe(1);
    const [repeated] = script.wait(500).take("request");
    expect(repeated).toMatchObject({ link: 2, firstChunk: 0, count: 4 });
    if (repeated !== undefined) script.deliver(repeated);
    expect(script.take("complete")).toHaveLength(1);
    expect(script.take("cancel")).toMatchObject([{ link: 1, request: slow?.request }]);
    // What crossed the cancel is of no use.
    script.tell({ type: "chunkReceived", link: 1, request: slow?.request ?? -1, chunk: 0 });
    expect(script.take("discard")).toHaveLength(1);
  });

  test("asks hosts rather than a seeder for what hosts have", () => {
    const script = new Script(smallPieces(40)).joinArtifact();
    for (let link = 1; link <= 3; link += 1) script.openPeer(link, "all");
    script.forgetOrders().openPeer(4, [0, 1], { seeder: true });
    expect(script.take("request")).toHaveLength(0);
    for (let link = 1; link <= 3; link += 1) script.tell({ type: "linkClosed", link });
    expect(script.take("request").map(({ link }) => link)).toEqual([4, 4]);
  });

  test("leaves no chunk behind when a link closes in the middle of a request", () => {
    const script = new Script(smallPieces(1)).joinArtifact().openPeer(1, "all");
    const [first] = script.take("request");
    const request = first?.request ?? -1;
    script.tell({ type: "chunkReceived", link: 1, request, chunk: 0 });
    script.tell({ type: "linkClosed", link: 1 });
    script.tell({ type: "chunkStored", artifact: 1, chunk: 0, link: 1 });
    script.openPeer(2, "all");
    expect(script.take("request")).toMatchObject([{ link: 2, firstChunk: 1, count: 3 }]);
  });
});

describe("refusing", () => {
  test("bans a peer for a wrong chunk, asks elsewhere, and takes it back for ten minutes neither", () => {
    const script = new Script(smallPieces(1)).joinArtifact().openPeer(1, "all");
    const [first] = script.take("request");
    script.tell({ type: "chunkReceived", link: 1, request: first?.request ?? -1, chunk: 0 });
    script.tell({ type: "chunkRefused", artifact: 1, chunk: 0, link: 1, peer: "peer-1" });
    expect(script.take("drop")).toMatchObject([{ link: 1, reason: "badChunk" }]);
    expect(script.swarm.progress(1, 0)?.bytesRefused).toBe(64 * kibibyte);
    script.openPeer(2, "all");
    expect(script.take("request")).toMatchObject([{ link: 2, firstChunk: 0, count: 4 }]);
    const peer = { peerId: "peer-1", addresses: [], zone: "a", seeder: false };
    script.tell({ type: "linkOpened", link: 3, peer });
    expect(script.take("drop")).toMatchObject([{ link: 3, reason: "banned" }]);
    script
      .wait(10 * 60_000)
      .forgetOrders()
      .tell({ type: "linkOpened", link: 4, peer });
    expect(script.take("drop")).toHaveLength(0);
  });

  test("counts a refusal against the peer, not against whose link it is by now", () => {
    const script = new Script(smallPieces(1)).joinArtifact().openPeer(1, "all");
    const [first] = script.take("request");
    script.tell({ type: "chunkReceived", link: 1, request: first?.request ?? -1, chunk: 0 });
    script.tell({ type: "linkClosed", link: 1 }).openPeer(2, "all").forgetOrders();
    script.tell({ type: "chunkRefused", artifact: 1, chunk: 0, link: 1, peer: "peer-1" });
    expect(script.take("drop")).toHaveLength(0);
  });

  test.for([
    { name: "a chunk that wasn't asked for", type: "chunkReceived", request: 77, chunk: 0 },
    { name: "an end of no request", type: "rejectReceived", request: 77 },
    { name: "a have of no piece", type: "havesReceived", pieces: Uint32Array.of(9), count: 1 },
    { name: "a bitfield of another artifact", type: "bitfieldReceived", pieces: bits(20, []) },
    { name: "a request of nothing", type: "requestReceived", request: 1, firstChunk: 0, count: 0 },
    { name: "a run over two pieces", type: "requestReceived", request: 1, firstChunk: 3, count: 2 },
    { name: "a run past the end", type: "requestReceived", request: 1, firstChunk: 7, count: 2 },
  ] as const)("drops a peer for $name", (input) => {
    const script = new Script(smallPieces(2)).joinArtifact([0, 1, 2, 3]).openPeer(1, [1]);
    script.forgetOrders().tell({ ...input, link: 1, artifact: 1 } as SwarmInput);
    expect(script.take("drop")).toMatchObject([{ link: 1, reason: "protocol" }]);
  });

  test("has no room for more links than it may have", () => {
    const script = new Script(smallPieces(1), { linksMax: 2 }).joinArtifact();
    script.openPeer(1, []).openPeer(2, []).openPeer(3, []);
    expect(script.take("drop")).toMatchObject([{ link: 3, reason: "full" }]);
  });

  test("says nothing of an artifact to a peer that may not have it", () => {
    const script = new Script(smallPieces(1)).joinArtifact("all");
    const peer = { peerId: "peer-1", addresses: [], zone: "a", seeder: false };
    script
      .tell({ type: "linkOpened", link: 1, peer })
      .tell({ type: "peerJoined", link: 1, artifact: 1 });
    const request = { type: "requestReceived", link: 1, artifact: 1, request: 5 } as const;
    script.tell({ ...request, firstChunk: 0, count: 1 });
    expect(script.take("bitfield")).toHaveLength(0);
    expect(script.take("join")).toHaveLength(0);
    expect(script.take("upload")).toHaveLength(0);
    expect(script.take("reject")).toMatchObject([{ link: 1, request: 5 }]);
  });

  test("stops serving and asking when a permission is taken back", () => {
    const script = new Script(smallPieces(2)).joinArtifact([0, 1, 2, 3]).openPeer(1, [1]);
    const ask = { type: "requestReceived", link: 1, artifact: 1, firstChunk: 0, count: 4 } as const;
    script.tell({ ...ask, request: 1 }).tell({ ...ask, request: 2 });
    script.tell({ type: "permissionChanged", link: 1, artifact: 1, allowed: false });
    expect(script.take("stopUpload")).toMatchObject([{ request: 1 }]);
    expect(script.take("reject")).toMatchObject([{ request: 2 }]);
    expect(script.take("cancel")).toHaveLength(1);
    expect(script.take("leave")).toHaveLength(1);
  });
});

describe("serving", () => {
  const ask = { type: "requestReceived", artifact: 1, firstChunk: 0, count: 4 } as const;

  test("answers a bounded number of requests at once and keeps slots for newcomers", () => {
    const config = { uploadSlots: 3, uploadSlotsForNewcomers: 1, newcomerPieces: 1 };
    const script = new Script(smallPieces(4), config).joinArtifact("all");
    for (let link = 1; link <= 4; link += 1) script.openPeer(link, [1]);
    script.openPeer(5, []);
    for (let link = 1; link <= 4; link += 1) script.tell({ ...ask, link, request: 1 });
    expect(script.take("upload").map(({ link }) => link)).toEqual([1, 2]);
    script.tell({ ...ask, link: 5, request: 1 });
    expect(script.take("upload").map(({ link }) => link)).toEqual([5]);
    script.tell({ type: "uploadEnded", link: 1, request: 1, outcome: "sent" });
    expect(script.take("upload").map(({ link }) => link)).toEqual([3]);
  });

  test("serves who has waited longest, near peers a little sooner", () => {
    const config = { uploadSlots: 1, uploadSlotsForNewcomers: 0 };
    const script = new Script(smallPieces(4), config).joinArtifact("all");
    script.openPeer(1, []).openPeer(2, []).openPeer(3, [], { zone: "a" });
    const order: number[] = [];
    for (const link of [1, 2, 3]) {
      for (let request = 0; request < 6; request += 1) script.tell({ ...ask, link, request });
    }
    for (let turn = 0; turn < 12; turn += 1) {
      const [upload] = script.take("upload");
      if (upload === undefined) break;
      order.push(upload.link);
      script.now += 100;
      script.tell({ ...upload, type: "uploadEnded", outcome: "sent" });
    }
    // The near peer, 3, has its turns sooner; the others have theirs nevertheless.
    expect(order.filter((link) => link === 3).length).toBeGreaterThan(4);
    for (const link of [1, 2]) {
      expect(order.filter((other) => other === link).length).toBeGreaterThan(2);
    }
  });

  test("refuses what exceeds a link's queue, and what it doesn't hold", () => {
    const script = new Script(smallPieces(2)).joinArtifact([0, 1, 2, 3]).openPeer(1, []);
    script.tell({ ...ask, link: 1, request: 500, firstChunk: 4 });
    expect(script.take("reject")).toMatchObject([{ request: 500 }]);
    for (let request = 0; request < 100; request += 1) script.tell({ ...ask, link: 1, request });
    expect(script.take("upload")).toHaveLength(1);
    expect(script.take("reject").map(({ request }) => request)).toEqual([97, 98, 99]);
    expect(script.take("drop")).toHaveLength(0);
  });

  test("ends a cancelled request, whether it waits or is being answered", () => {
    const script = new Script(smallPieces(2)).joinArtifact("all").openPeer(1, []);
    script.tell({ ...ask, link: 1, request: 1 }).tell({ ...ask, link: 1, request: 2 });
    script.tell({ type: "cancelReceived", link: 1, request: 2 });
    expect(script.take("reject")).toMatchObject([{ request: 2 }]);
    script.tell({ type: "cancelReceived", link: 1, request: 1 });
    script.tell({ type: "cancelReceived", link: 1, request: 1 });
    expect(script.take("stopUpload")).toMatchObject([{ request: 1 }]);
    script.tell({ type: "uploadEnded", link: 1, request: 1, outcome: "stopped" });
    expect(script.take("reject")).toMatchObject([{ request: 1 }]);
  });

  test("doesn't offer a piece any more that it couldn't read", () => {
    const script = new Script(smallPieces(2)).joinArtifact("all").openPeer(1, []);
    script.tell({ ...ask, link: 1, request: 1 });
    script.tell({ type: "uploadEnded", link: 1, request: 1, outcome: "unreadable" });
    expect(script.take("reject")).toMatchObject([{ request: 1 }]);
    script.tell({ ...ask, link: 1, request: 2 });
    expect(script.take("reject")).toMatchObject([{ request: 2 }]);
    expect(script.openPeer(2, []).take("bitfield").at(-1)?.pieces).toEqual(bits(2, [1]));
  });
});

describe("announcing", () => {
  function afterPieces(config: Partial<SwarmConfig> = {}): Script {
    const script = new Script(smallPieces(3), config).joinArtifact([4, 5, 6, 7]);
    script.openPeer(1, [0, 2]).openPeer(2, []).openPeer(3, [0, 2]);
    const requests = script.take("request");
    script.forgetOrders();
    for (const request of requests) script.deliver(request);
    return script;
  }
  const linksOf = (orders: readonly { readonly link: number }[]): readonly number[] =>
    orders.map(({ link }) => link);

  test("tells who lacks a piece within the time that a have may wait for company", () => {
    const script = afterPieces({ haveDelayMs: 300 });
    expect(script.wait(299).take("haves")).toHaveLength(0);
    expect(script.wait(1).take("haves")).toMatchObject([{ link: 2, count: 2 }]);
  });

  test("tells who has the piece later, because that only counts copies", () => {
    const script = afterPieces({ haveDelayMs: 300, haveDelayKnownMs: 1000 });
    expect(linksOf(script.wait(999).take("haves"))).toEqual([2]);
    expect(linksOf(script.wait(1).take("haves"))).toEqual([1, 3]);
  });

  test("tells everybody when enough haves wait", () => {
    const haves = afterPieces({ havesTogether: 2 }).take("haves");
    expect(linksOf(haves)).toEqual([1, 2, 3]);
    expect(haves.map(({ count }) => count)).toEqual([2, 2, 2]);
  });

  test("a seeder shows every link other pieces, and another when one was taken", () => {
    const config = { seeder: true, offeredPieces: 6, offeredBytes: 1, offeredBytesPerLink: 1 };
    const script = new Script(smallPieces(7), config).joinArtifact("all");
    script.openPeer(1, []).openPeer(2, []).openPeer(3, []);
    const shown = script.take("haves").map(({ link, pieces, count }) => ({
      link,
      pieces: [...pieces.subarray(0, count)],
    }));
    expect(shown.map(({ link }) => link)).toEqual([1, 2, 3]);
    expect(new Set(shown.flatMap(({ pieces }) => pieces)).size).toBe(6);
    for (const { pieces } of script.take("bitfield")) expect(pieces).toEqual(bits(7, []));
    const piece = shown[0]?.pieces[0] ?? 0;
    const ask = { type: "requestReceived", link: 1, artifact: 1, request: 1 } as const;
    script.tell({ ...ask, firstChunk: piece * 4, count: 4 });
    script.tell({ type: "uploadEnded", link: 1, request: 1, outcome: "sent" });
    expect(script.take("haves")).toMatchObject([{ link: 1, count: 1 }]);
  });

  test("a seeder offers a newcomer one piece at once, and no more than twice as much as usual", () => {
    const config = { seeder: true, offeredPieces: 2, offeredBytes: 1 };
    const script = new Script(smallPieces(2), config).joinArtifact("all");
    script.openPeer(1, []).openPeer(2, []).openPeer(3, []).openPeer(4, []);
    const shown = script.take("haves");
    expect(linksOf(shown)).toEqual([1, 2, 3]);
    expect(shown.map(({ count }) => count)).toEqual([2, 1, 1]);
  });

  test("a seeder offers each link its share where there are few, but not to newcomers", () => {
    const config = { seeder: true, offeredPieces: 6, offeredBytes: 1, offeredBytesPerLink: 1 };
    const script = new Script(smallPieces(20), config).joinArtifact("all");
    expect(script.openPeer(1, []).take("haves")).toMatchObject([{ link: 1, count: 2 }]);
    expect(script.openPeer(2, [0, 1, 2, 3]).take("haves")).toMatchObject([{ link: 2, count: 3 }]);
  });

  test("a seeder offers nothing twice while something is on its way for the first time", () => {
    const limits = { offeredPiecesPerLink: 1, offeredBytesPerLink: 1, offeredBytes: 1 };
    const config = { seeder: true, offeredPieces: 2, offeredMs: 1000, ...limits };
    const script = new Script(smallPieces(2), config).joinArtifact("all");
    script.openPeer(1, []).openPeer(2, []);
    const shown = script.take("haves");
    expect(linksOf(shown)).toEqual([1, 2]);
    const firstChunk = (shown[0]?.pieces[0] ?? 0) * 4;
    const ask = { type: "requestReceived", link: 1, artifact: 1, request: 1 } as const;
    script.tell({ ...ask, firstChunk, count: 4 });
    script.tell({ type: "uploadEnded", link: 1, request: 1, outcome: "sent" });
    expect(script.take("haves")).toHaveLength(0);
    // Link 2 doesn't take what it was offered: it holds up the others no longer than an offer counts.
    expect(script.wait(1000).take("haves")).toMatchObject([{ link: 1 }]);
  });
});
