import { expect, test } from "vitest";
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
