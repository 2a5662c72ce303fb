import { expect, test } from "vitest";
import { Script, smallPieces } from "./script.test-kit.ts";

const stepMs = 10;

test("those who are tardy are offered little at a time, and the others don't wait for them", () => {
  const limits = { offeredPieces: 12, offeredPiecesPerLink: 2, offeredBytes: 1 };
  const script = new Script(smallPieces(600), { seeder: true, ...limits, offeredBytesPerLink: 1 });
  script.joinArtifact("all");
  const tookMs = [10, 10, 900, 900, 900, 900, 900, 900, 900, 900];
  for (const link of tookMs.keys()) script.openPeer(link, []);
  const open = tookMs.map(() => [] as { piece: number; dueMs: number }[]);
  let mostTardy = 0;
  let quickCount = 0;
  for (let now = 0; now < 6000; now += stepMs) {
    script.wait(stepMs);
    for (const { link, pieces, count } of script.take("haves")) {
      for (const piece of pieces.subarray(0, count)) {
        open[link]?.push({ piece, dueMs: now + (tookMs[link] ?? 0) });
      }
    }
    for (const [link, offers] of open.entries()) {
      const [first] = offers;
      if (first === undefined || first.dueMs > now) continue;
      offers.shift();
      if (link < 2) quickCount += 1;
      const pieces = Uint32Array.of(first.piece);
      script.tell({ type: "havesReceived", link, artifact: 1, pieces, count: 1 });
    }
    // Who is tardy isn't known before.
    if (now >= 3000) mostTardy = Math.max(mostTardy, open.slice(2).flat().length);
  }
  expect(mostTardy).toBe(2);
  expect(quickCount).toBeGreaterThan(400);
});

test("one who is tardy gets something, even if others never take what they were offered", () => {
  const limits = { offeredPieces: 4, offeredPiecesPerLink: 1, offeredBytes: 1, offeredMs: 1000 };
  const script = new Script(smallPieces(40), { seeder: true, ...limits, offeredBytesPerLink: 1 });
  script.joinArtifact("all");
  for (let link = 1; link <= 4; link += 1) script.openPeer(link, []);
  let takenCount = 0;
  for (let second = 0; second < 60; second += 1) {
    script.wait(1100);
    for (const { link, pieces } of script.take("haves")) {
      if (link !== 4) continue;
      takenCount += 1;
      const taken = Uint32Array.of(pieces[0] ?? 0);
      script.tell({ type: "havesReceived", link, artifact: 1, pieces: taken, count: 1 });
    }
  }
  expect(takenCount).toBeGreaterThan(30);
});
