import fc from "fast-check";
import { expect, test } from "vitest";
import { makeLadder, mergeLadders } from "./ladder.ts";

const shares = fc
  .uniqueArray(fc.double({ min: 0, max: 0.999, noNaN: true }), { maxLength: 80 })
  .map((list) => list.toSorted((a, b) => a - b));

test("a rung opens exactly its hosts, and some rung opens at least half of any number", () => {
  fc.assert(
    fc.property(shares, fc.integer({ min: 1, max: 100 }), (closed, wanted) => {
      const ladder = makeLadder(closed);
      for (const { hosts, share } of ladder)
        expect(closed.filter((one) => one < share).length).toBe(hosts);
      const best = ladder.findLast(({ hosts }) => hosts <= wanted)?.hosts ?? 0;
      expect(best * 2).toBeGreaterThanOrEqual(Math.min(wanted, closed.length));
    }),
  );
});

test("a rung of several seeders never opens more than its hosts, and one opens a single host", () => {
  fc.assert(
    fc.property(fc.array(shares, { maxLength: 4 }), (lists) => {
      const all = lists.flat();
      const merged = mergeLadders(lists.map(makeLadder));
      for (const { hosts, share } of merged)
        expect(all.filter((one) => one < share).length).toBeLessThanOrEqual(hosts);
      const distinct = new Set(all).size === all.length;
      if (all.length > 0 && distinct) expect(merged[0]?.hosts).toBe(1);
      if (all.length > 0) expect(merged.at(-1)?.hosts).toBe(all.length);
    }),
  );
});
