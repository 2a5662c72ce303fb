import fc from "fast-check";
import { expect, test } from "vitest";
import { digest } from "@shoal/core/digest";
import { HashTable, noSlot } from "./hash-table.ts";

const hashOf = (label: number): Uint8Array => digest(Uint8Array.of(label, label >> 8, label >> 16));

test("holds what a set would, under any adding and removing", () => {
  const step = fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 40 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const table = new HashTable();
      const model = new Map<number, number>();
      for (const [isAdd, label] of steps) {
        if (isAdd) {
          const slot = table.add(hashOf(label));
          expect(slot).toBe(model.get(label) ?? slot);
          expect([...model].find(([other, at]) => at === slot && other !== label)).toBeUndefined();
          model.set(label, slot);
        } else {
          const slot = model.get(label);
          if (slot !== undefined) table.remove(slot);
          model.delete(label);
        }
      }
      expect(table.size).toBe(model.size);
      for (let label = 0; label <= 40; label += 1) {
        expect(table.find(hashOf(label))).toBe(model.get(label) ?? noSlot);
      }
      for (const [label, slot] of model)
        expect(Buffer.compare(table.hashOf(slot), hashOf(label))).toBe(0);
    }),
  );
});

test("grows to many hashes and keeps their slots", () => {
  const table = new HashTable();
  const count = 30_000;
  const slots = Array.from({ length: count }, (_, label) => table.add(hashOf(label)));
  expect(new Set(slots).size).toBe(count);
  expect(table.capacity).toBeGreaterThanOrEqual(count);
  for (let label = 0; label < count; label += 1)
    expect(table.find(hashOf(label))).toBe(slots[label]);
  expect(table.has(hashOf(count))).toBe(false);
});

test("stays quick when the same place is filled and freed for ever", () => {
  const table = new HashTable();
  for (let round = 0; round < 50_000; round += 1) table.remove(table.add(hashOf(round)));
  expect(table.size).toBe(0);
  expect(table.capacity).toBeLessThan(5000);
});

test("hashes that agree in most bytes are told apart", () => {
  const table = new HashTable();
  const first = new Uint8Array(32);
  const second = new Uint8Array(32);
  second[31] = 1;
  expect(table.add(first)).not.toBe(table.add(second));
  expect(table.find(second.slice())).not.toBe(table.find(first.slice()));
});
