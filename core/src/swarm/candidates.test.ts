import { describe, expect, test } from "vitest";
import { dialsFirst } from "./candidates.ts";
import { Script, smallPieces } from "./script.test-kit.ts";

test("dials a peer that ends every link at once less and less often", () => {
  const script = new Script(smallPieces(4)).joinArtifact();
  const full = { peerId: "peer-0", addresses: ["/peer/0"], zone: "a", seeder: false };
  script.tell({ type: "candidatesOffered", artifact: 1, peers: [full] });
  const dials: number[] = [];
  while (dials.length < 4) {
    for (let order = script.take("dial"); order.length === 0; order = script.take("dial")) {
      script.wait(100);
    }
    dials.push(script.now);
    script.tell({ type: "linkOpened", link: dials.length, peer: full });
    script.tell({ type: "linkClosed", link: dials.length });
  }
  const pauses = dials.slice(1).map((at, index) => at - (dials[index] ?? 0));
  // Half to all of 1, 2 and 4 seconds, seen every tenth of one.
  for (const [index, pause] of pauses.entries()) {
    expect(pause).toBeGreaterThanOrEqual(500 * 2 ** index);
    expect(pause).toBeLessThanOrEqual(1000 * 2 ** index + 100);
  }
});

describe("linking", () => {
  const peers = Array.from({ length: 40 }, (_unused, index) => ({
    peerId: `peer-${index}`,
    addresses: [`/peer/${index}`],
    zone: index < 4 ? "a" : "b",
    seeder: index >= 35,
  }));

  const told = (script: Script): readonly string[] => script.take("dial").map(({ peer }) => peer);
  const isSeeder = (id: string | undefined): boolean =>
    peers.some(({ peerId, seeder }) => peerId === id && seeder);
  const isNear = (id: string): boolean =>
    peers.some(({ peerId, zone }) => peerId === id && zone === "a");

  test("dials a seeder first and alone, then near peers, the more at once the more links there are", () => {
    const script = new Script(smallPieces(4), { dialsMax: 4, linksWanted: 12 }).joinArtifact();
    script.tell({ type: "candidatesOffered", artifact: 1, peers });
    const first = told(script);
    expect(first).toHaveLength(1);
    expect(isSeeder(first[0])).toBe(true);
    script.openPeer(1, [], { seeder: true });
    const second = told(script);
    expect(second).toHaveLength(1);
    expect(second.filter(isNear)).toEqual(second);
  });

  test("dials for one link more, a seeder's first, when nobody who is linked has anything for a while", () => {
    const script = new Script(smallPieces(4), { linksWanted: 2 }).joinArtifact();
    script.openPeer(1, []).openPeer(2, []);
    script.tell({ type: "candidatesOffered", artifact: 1, peers });
    expect(told(script)).toEqual([]);
    expect(told(script.wait(4900))).toEqual([]);
    const more = told(script.wait(200));
    expect(more).toHaveLength(1);
    expect(isSeeder(more[0])).toBe(true);
    script.openPeer(3, [0]);
    expect(script.take("request")).toHaveLength(1);
    script.take("dial");
    expect(told(script.wait(4000))).toEqual([]);
  });

  test("dials others while one takes long, a few at once", () => {
    const script = new Script(smallPieces(4), { dialsMax: 4, linksWanted: 12 }).joinArtifact();
    script.tell({ type: "candidatesOffered", artifact: 1, peers });
    const dialed = [...told(script)];
    for (let ms = 0; ms < 5000; ms += 100) dialed.push(...told(script.wait(100)));
    expect(dialed).toHaveLength(4);
    expect(isSeeder(dialed[0])).toBe(true);
    expect(dialed.slice(1).filter(isNear)).toEqual(dialed.slice(1));
  });

  test.for([
    ["rests after a dial that took long", 900, 900],
    ["doesn't rest after a quick dial", 100, 0],
  ] as const)("%s", ([, tookMs, restMs]) => {
    const script = new Script(smallPieces(4)).joinArtifact();
    script.tell({ type: "candidatesOffered", artifact: 1, peers: peers.slice(36, 37) });
    expect(told(script)).toEqual(["peer-36"]);
    script.wait(tookMs).openPeer(36, [], { seeder: true });
    script.tell({ type: "candidatesOffered", artifact: 1, peers });
    let restedMs = 0;
    while (told(script).length === 0) {
      script.wait(100);
      restedMs += 100;
    }
    expect(restedMs).toBe(restMs);
  });

  test("leaves it to half of the others to dial, for a while, once it has a link", () => {
    const config = { self: "peer-50", dialsMax: 40, linksWanted: 40, dialPatienceMs: 10 };
    const script = new Script(smallPieces(4), config).joinArtifact();
    const hosts = peers.filter(({ seeder }) => !seeder);
    script.openPeer(41, [], { seeder: true });
    script.tell({ type: "candidatesOffered", artifact: 1, peers: hosts });
    const dialed = [...told(script)];
    const waitUntil = (endMs: number): void => {
      while (script.now < endMs) dialed.push(...told(script.wait(10)));
    };
    waitUntil(script.now + 900);
    const ours = hosts.filter(({ peerId }) => dialsFirst("peer-50", peerId));
    expect(dialed.toSorted()).toEqual(ours.map(({ peerId }) => peerId).toSorted());
    expect(ours.length).toBeGreaterThan(hosts.length / 3);
    expect(ours.length).toBeLessThan((hosts.length * 2) / 3);
    for (const { peerId } of hosts)
      expect(dialsFirst(peerId, "peer-50")).toBe(!dialsFirst("peer-50", peerId));
    waitUntil(script.now + 1000);
    expect(dialed).toHaveLength(hosts.length);
  });

  test("dials others when one can't be reached, and that one later", () => {
    const script = new Script(smallPieces(4)).joinArtifact();
    script.tell({ type: "candidatesOffered", artifact: 1, peers: peers.slice(0, 1) });
    expect(script.take("dial")).toHaveLength(1);
    script.tell({ type: "dialFailed", peer: "peer-0" });
    expect(script.wait(499).take("dial")).toHaveLength(0);
    expect(script.wait(501).take("dial")).toHaveLength(1);
    for (let failures = 2; failures < 12; failures += 1) {
      script.tell({ type: "dialFailed", peer: "peer-0" }).wait(60_000);
    }
    // After six failures in a row it is forgotten.
    expect(script.take("dial")).toHaveLength(4);
  });

  test("dials nobody for what is complete", () => {
    const script = new Script(smallPieces(4)).joinArtifact("all");
    script.tell({ type: "candidatesOffered", artifact: 1, peers });
    expect(script.take("dial")).toHaveLength(0);
  });

  test("tells a newcomer of other members", () => {
    const script = new Script(smallPieces(4)).joinArtifact("all");
    script.openPeer(1, []).openPeer(2, []);
    const newcomer = script.take("peers");
    expect(newcomer).toMatchObject([{ link: 2, artifact: 1 }]);
    expect(newcomer[0]?.peers.map(({ peerId }) => peerId)).toEqual(["peer-1"]);
  });
});
