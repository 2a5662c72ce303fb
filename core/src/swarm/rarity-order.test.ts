import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Prng } from "../prng.ts";
import { RarityOrder } from "./rarity-order.ts";

const count = 12;
const step = fc.record({
  kind: fc.constantFrom("add", "remove", "increment", "increment", "decrement"),
  piece: fc.nat(count - 1),
});

function listed(order: RarityOrder): readonly number[] {
  return Array.from({ length: order.size }, (_unused, place) => order.at(place));
}

describe("the order of rarity", () => {
  test("lists exactly what was added, by ascending copies, whatever happened before", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.nat(), (steps, seed) => {
        const order = new RarityOrder(count, new Prng(seed));
        const copies = Array<number>(count).fill(0);
        const members = new Set<number>();
        for (const { kind, piece } of steps) {
          if (kind === "add") {
            order.add(piece);
            members.add(piece);
          } else if (kind === "remove") {
            order.remove(piece);
            members.delete(piece);
          } else if (kind === "increment") {
            order.increment(piece);
            copies[piece] = (copies[piece] as number) + 1;
          } else if ((copies[piece] as number) > 0) {
            order.decrement(piece);
            copies[piece] = (copies[piece] as number) - 1;
          }
          const pieces = listed(order);
          expect(new Set(pieces)).toEqual(members);
          expect(pieces).toHaveLength(members.size);
          const sorted = pieces.map((p) => copies[p] as number);
          expect(sorted).toEqual(sorted.toSorted((a, b) => a - b));
          for (let p = 0; p < count; p += 1) {
            expect(order.copies(p)).toBe(copies[p]);
            expect(order.has(p)).toBe(members.has(p));
          }
        }
      }),
    );
  });

  test("puts each of several equally rare pieces first about equally often", () => {
    const firsts = new Map<number, number>();
    for (let seed = 0; seed < 3000; seed += 1) {
      const order = new RarityOrder(4, new Prng(seed));
      for (let piece = 0; piece < 4; piece += 1) order.add(piece);
      // Everybody has piece 3, and one piece was lost again by somebody.
      order.increment(3);
      order.increment(1);
      order.decrement(1);
      const first = order.at(0);
      firsts.set(first, (firsts.get(first) ?? 0) + 1);
    }
    expect([...firsts.keys()].toSorted((a, b) => a - b)).toEqual([0, 1, 2]);
    for (const times of firsts.values()) expect(times).toBeGreaterThan(600);
  });
});
