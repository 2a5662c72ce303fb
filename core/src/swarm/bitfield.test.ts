import fc from "fast-check";
import { expect, test } from "vitest";
import {
  bitfieldOf,
  clearBit,
  countBeyond,
  countBits,
  hasBit,
  isBitfieldOf,
  setBit,
} from "./bitfield.ts";

test("has exactly the bits that were set and not cleared", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 70 }), fc.array(fc.nat(69)), (count, toggles) => {
      const field = bitfieldOf(count);
      const model = new Set<number>();
      for (const index of toggles.filter((at) => at < count)) {
        if (model.delete(index)) clearBit(field, index);
        else setBit(field, index);
        if (hasBit(field, index)) model.add(index);
      }
      expect(countBits(field)).toBe(model.size);
      expect(countBeyond(field, field)).toBe(0);
      for (let index = 0; index < count; index += 1) {
        expect(hasBit(field, index)).toBe(model.has(index));
      }
      expect(isBitfieldOf(field, count)).toBe(true);
    }),
  );
});

test.for([
  { name: "too short", field: [], count: 1 },
  { name: "too long", field: [1, 0], count: 8 },
  { name: "with a bit beyond the end", field: [0b0000_1000], count: 3 },
])("refuses a field that is $name", ({ field, count }) => {
  expect(isBitfieldOf(Uint8Array.from(field), count)).toBe(false);
});

test("takes a full last byte", () => {
  expect(isBitfieldOf(Uint8Array.of(0xff), 8)).toBe(true);
  expect(isBitfieldOf(Uint8Array.of(), 0)).toBe(true);
});
