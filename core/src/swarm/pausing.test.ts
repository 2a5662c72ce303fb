// What a person's pause makes of the scheduler's orders.
import { describe, expect, test } from "vitest";
import { Script, smallPieces } from "./script.test-kit.ts";
import { describeWaits } from "./waits-for.ts";

describe("pausing", () => {
  const pause = { type: "pauseChanged", artifact: 1, paused: true } as const;
  const resume = { ...pause, paused: false };

  test("asks for nothing while paused, cancels what is open, says so, and goes on", () => {
    const script = new Script(smallPieces(4)).joinArtifact().openPeer(1, "all");
    const open = script.take("request");
    expect(open.length).toBeGreaterThan(0);
    script.tell(pause);
    expect(script.take("cancel").map(({ request }) => request)).toEqual(
      open.map(({ request }) => request),
    );
    for (const { request } of open) script.tell({ type: "rejectReceived", link: 1, request });
    script.openPeer(2, "all").wait(60_000);
    expect(script.take("request")).toEqual([]);
    const waits = script.swarm.progress(1, script.now)?.waits;
    expect(waits?.reason).toBe("paused");
    expect(describeWaits(waits)).toBe("4 of 4 pieces: paused by a person");
    script.tell(resume);
    for (let round = 0; round < 8; round += 1) {
      for (const request of script.take("request")) script.deliver(request);
    }
    expect(script.take("complete")).toHaveLength(1);
    const types = script.take("log").map(({ event }) => event.type);
    expect(types).toEqual(expect.arrayContaining(["paused", "resumed"]));
  });

  test("keeps what crossed the cancel, and serves others meanwhile", () => {
    const script = new Script(smallPieces(2)).joinArtifact([0, 1, 2, 3]).openPeer(1, "all");
    const [open] = script.take("request");
    script.tell(pause).openPeer(2, []);
    script.tell({ type: "chunkReceived", link: 1, request: open?.request ?? -1, chunk: 4 });
    expect(script.take("accept")).toHaveLength(1);
    const asked = { artifact: 1, request: 7, firstChunk: 0, count: 4 };
    script.tell({ type: "requestReceived", link: 2, ...asked });
    expect(script.take("upload")).toMatchObject([{ link: 2, ...asked }]);
  });

  test("dials nobody for it, and others' downloads aren't held up", () => {
    const script = new Script(smallPieces(2)).joinArtifact([], 1).joinArtifact([], 2);
    const peers = [{ peerId: "one", addresses: ["/one"], zone: "a", seeder: false }];
    script.tell(pause).tell({ type: "candidatesOffered", artifact: 1, peers });
    expect(script.wait(10_000).take("dial")).toEqual([]);
    script.openPeer(1, "all", { artifacts: [1, 2] });
    const asked = script.take("request").map(({ artifact }) => artifact);
    expect(new Set(asked)).toEqual(new Set([2]));
    script.tell(resume);
    expect(script.take("dial")).toHaveLength(1);
  });
});
