import { describe, expect, test } from "vitest";
import { withDefaults } from "./config.ts";
import { Patience } from "./patience.ts";
import { Script, smallPieces } from "./script.test-kit.ts";

describe("patience", () => {
  test("is what the configuration says while answers are quick", () => {
    const patience = new Patience(withDefaults({}));
    for (let answer = 0; answer < 100; answer += 1) patience.answered(500);
    expect([patience.requestMs, patience.linkMs]).toEqual([8000, 30_000]);
  });

  test("grows where all answers are slow, but not without an end", () => {
    const patience = new Patience(withDefaults({}));
    for (let answer = 0; answer < 100; answer += 1) patience.answered(5000);
    expect(patience.requestMs).toBeCloseTo(15_000, -1);
    for (let answer = 0; answer < 100; answer += 1) patience.answered(1_000_000);
    expect([patience.requestMs, patience.linkMs]).toEqual([32_000, 120_000]);
  });

  test("leaves a link its requests where others take as long", () => {
    const script = new Script(smallPieces(64), { windowBytesMin: 1, endgameCopies: 1 });
    script.joinArtifact().openPeer(1, "all");
    for (let round = 0; round < 20; round += 1) {
      const requests = script.take("request");
      script.wait(6000);
      for (const request of requests) script.deliver(request);
    }
    script.openPeer(2, "all").forgetOrders().wait(10_000);
    expect(script.take("cancel")).toHaveLength(0);
    script.wait(10_000);
    expect(script.take("cancel").length).toBeGreaterThan(0);
  });
});
