// Chunks that come from elsewhere on this node's disk while the rest is fetched.
import { describe, expect, test } from "vitest";
import { Script, smallPieces } from "./script.test-kit.ts";
import { describeWaits } from "./waits-for.ts";

/** Delivers all that is asked for until nothing is; answers the chunks. */
function deliverAll(script: Script): number[] {
  const chunks: number[] = [];
  for (let asked = script.take("request"); asked.length > 0; asked = script.take("request")) {
    for (const request of asked) {
      for (let at = 0; at < request.count; at += 1) chunks.push(request.firstChunk + at);
      script.deliver(request);
    }
  }
  return chunks.toSorted((a, b) => a - b);
}

describe("reusing", () => {
  const ended = { artifact: 1, firstChunk: 4, count: 6 };

  test("what is being reused isn't asked for, and completes its pieces", () => {
    const script = new Script(smallPieces(3)).joinArtifact([0], 1, 0, [4, 5, 6, 7, 8, 9]);
    script.openPeer(1, "all");
    expect(deliverAll(script)).toEqual([1, 2, 3, 10, 11]);
    // Nor when the end is near and idle links repeat what is late.
    script.wait(60_000);
    expect(script.take("request")).toEqual([]);
    const waits = script.swarm.progress(1, script.now)?.waits;
    expect(describeWaits(waits)).toBe(
      "2 of 3 pieces: what arrived, or lies elsewhere on this disk, is being stored",
    );
    expect(script.take("complete")).toEqual([]);
    script.tell({ type: "chunksReused", ...ended });
    expect(script.take("complete")).toHaveLength(1);
    expect(script.wait(1000).swarm.progress(1, script.now)).toMatchObject({
      chunksHeld: 12,
      bytesFromPeers: 5 * 64 * 1024,
    });
  });

  test("pieces that are reused are announced and served", () => {
    const script = new Script(smallPieces(3)).joinArtifact([], 1, 0, [4, 5, 6, 7]);
    script.openPeer(1, []).forgetOrders();
    script.tell({ type: "chunksReused", ...ended, count: 4 }).wait(10_000);
    const told = script
      .take("haves")
      .flatMap(({ pieces, count }) => [...pieces.subarray(0, count)]);
    expect(told).toContain(1);
    const request = { artifact: 1, request: 7, firstChunk: 4, count: 4 };
    script.tell({ type: "requestReceived", link: 1, ...request });
    expect(script.take("upload")).toMatchObject([request]);
  });

  test("what wasn't there after all is asked for at once", () => {
    const script = new Script(smallPieces(3)).joinArtifact([], 1, 0, [4, 5, 6, 7, 8, 9]);
    script.openPeer(1, "all");
    deliverAll(script);
    script.tell({ type: "reuseFailed", ...ended, count: 2 });
    expect(deliverAll(script)).toEqual([4, 5]);
    script.tell({ type: "chunksReused", ...ended, firstChunk: 6, count: 4 });
    expect(script.take("complete")).toHaveLength(1);
  });

  test("answers for an artifact that was left are passed over", () => {
    const script = new Script(smallPieces(3)).joinArtifact([], 1, 0, [4, 5, 6, 7, 8, 9]);
    script.tell({ type: "artifactLeft", artifact: 1 });
    script.tell({ type: "chunksReused", ...ended }).tell({ type: "reuseFailed", ...ended });
    expect(script.take("complete")).toEqual([]);
  });
});
