import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mebibyte, secondMs } from "../units.ts";
import { Budget } from "./budget.ts";

/** Moves as much as it is let, asked for by all shares all the time; answers when what was moved. */
function run(
  budget: Budget,
  shares: readonly { readonly weight: number; readonly bytes: number }[],
  durationMs: number,
  at: (now: number) => void = () => undefined,
): readonly { readonly now: number; readonly share: number; readonly bytes: number }[] {
  const moved: { now: number; share: number; bytes: number }[] = [];
  const want = (share: number): void => {
    const { weight, bytes } = shares[share] ?? { weight: 1, bytes: 1 };
    budget.ask(share, { id: share, bytes, weight });
  };
  for (const share of shares.keys()) want(share);
  for (let now = 0; now < durationMs; now += 1) {
    at(now);
    for (let id = budget.poll(now); id !== undefined; id = budget.poll(now)) {
      moved.push({ now, share: id, bytes: shares[id]?.bytes ?? 0 });
      want(id);
    }
  }
  return moved;
}

describe("a budget", () => {
  test("is kept to within 3% over any ten seconds", () => {
    const rates = fc.integer({ min: 4, max: 2000 }).map((mib) => mib * mebibyte);
    const sizes = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(rates, sizes, fc.nat(9000), (rate, percents, from) => {
        const budget = new Budget(rate, 0);
        // No run is longer than what the rate allows in a twentieth of a second.
        const shares = percents.map((part) => ({ weight: 1, bytes: (rate / 20) * (part / 100) }));
        const moved = run(budget, shares, 20 * secondMs);
        const within = moved.filter(({ now }) => now >= from && now < from + 10 * secondMs);
        const sum = within.reduce((total, { bytes }) => total + bytes, 0);
        expect(sum / (10 * rate)).toBeGreaterThan(0.97);
        expect(sum / (10 * rate)).toBeLessThan(1.03);
      }),
      { numRuns: 20 },
    );
  });

  test("is shared by weight, whatever the sizes", () => {
    const budget = new Budget(100 * mebibyte, 0);
    const shares = [
      { weight: 1, bytes: mebibyte },
      { weight: 3, bytes: mebibyte / 4 },
    ];
    const moved = run(budget, shares, 10 * secondMs);
    const of = (share: number): number =>
      moved.filter((each) => each.share === share).reduce((sum, { bytes }) => sum + bytes, 0);
    expect(of(1) / of(0)).toBeGreaterThan(2.9);
    expect(of(1) / of(0)).toBeLessThan(3.1);
  });

  test("follows a change at once, both ways", () => {
    const budget = new Budget(10 * mebibyte, 0);
    const shares = [{ weight: 1, bytes: mebibyte / 4 }];
    const moved = run(budget, shares, 30 * secondMs, (now) => {
      if (now === 10 * secondMs) budget.setRate(100 * mebibyte, now);
      if (now === 20 * secondMs) budget.setRate(5 * mebibyte, now);
    });
    const between = (from: number, to: number): number =>
      moved
        .filter(({ now }) => now >= from * secondMs && now < to * secondMs)
        .reduce((sum, { bytes }) => sum + bytes, 0) / mebibyte;
    expect(between(0, 10)).toBeCloseTo(101, -1);
    expect(Math.abs(between(10, 20) - 1000)).toBeLessThan(30);
    expect(Math.abs(between(20, 30) - 50)).toBeLessThan(1.5);
  });

  test("lets everything through without a rate", () => {
    const budget = new Budget(undefined, 0);
    budget.spend(1e12, 0);
    expect(budget.waitMs(0)).toBe(0);
    budget.ask(1, { id: 5, bytes: 1e12, weight: 1 });
    expect(budget.poll(0)).toBe(5);
    expect(budget.poll(0)).toBeUndefined();
    expect(budget.nextDeadline(0)).toBeUndefined();
  });

  test("makes what came too fast wait", () => {
    const budget = new Budget(1000, 0);
    budget.spend(500, 0);
    expect(budget.waitMs(0)).toBe(500);
    expect(budget.waitMs(400)).toBe(100);
    budget.setRate(2000, 400);
    expect(budget.waitMs(400)).toBe(50);
  });

  test("doesn't let who was idle catch up", () => {
    const budget = new Budget(undefined, 0);
    for (let id = 0; id < 100; id += 1) budget.ask(1, { id, bytes: 1000, weight: 1 });
    for (let id = 0; id < 100; id += 1) budget.poll(0);
    budget.ask(2, { id: 200, bytes: 1000, weight: 1 });
    budget.ask(2, { id: 201, bytes: 1000, weight: 1 });
    budget.ask(1, { id: 101, bytes: 1000, weight: 1 });
    const order = [budget.poll(0), budget.poll(0), budget.poll(0)];
    expect(order.indexOf(101)).toBeLessThan(2);
  });

  test("forgets an artifact with those who waited for it", () => {
    const budget = new Budget(1000, 0);
    budget.ask(1, { id: 1, bytes: 10, weight: 1 });
    budget.forget(1);
    expect(budget.poll(1000)).toBeUndefined();
  });
});
