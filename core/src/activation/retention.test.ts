import fc from "fast-check";
import { expect, test } from "vitest";
import { artifactsToRemove } from "./retention.ts";

const onDisk = [
  { cid: "oldest", bytes: 40, namedAt: 1 },
  { cid: "older", bytes: 40, namedAt: 2 },
  { cid: "old", bytes: 40, namedAt: 3 },
  { cid: "running", bytes: 1000, namedAt: 0 },
];

test.for([
  { oldBytesMax: 1000, oldCountMax: 10, removed: [] },
  { oldBytesMax: 80, oldCountMax: 10, removed: ["oldest"] },
  { oldBytesMax: 79, oldCountMax: 10, removed: ["oldest", "older"] },
  { oldBytesMax: 1000, oldCountMax: 1, removed: ["oldest", "older"] },
  { oldBytesMax: 0, oldCountMax: 10, removed: ["oldest", "older", "old"] },
])("removes what was named longest ago first: %o", ({ removed, ...budget }) => {
  expect(artifactsToRemove(onDisk, { inUse: new Set(["running"]), ...budget })).toEqual(removed);
});

test("never removes what is in use, and keeps no more of the rest than it may", () => {
  const anyArtifacts = fc.uniqueArray(
    fc.record({ cid: fc.string(), bytes: fc.nat(100), namedAt: fc.nat(5), used: fc.boolean() }),
    { selector: ({ cid }) => cid },
  );
  fc.assert(
    fc.property(anyArtifacts, fc.nat(300), fc.nat(5), (artifacts, oldBytesMax, oldCountMax) => {
      const inUse = new Set(artifacts.filter(({ used }) => used).map(({ cid }) => cid));
      const removed = artifactsToRemove(artifacts, { inUse, oldBytesMax, oldCountMax });
      expect(removed.filter((cid) => inUse.has(cid))).toEqual([]);
      const kept = artifacts.filter(({ cid }) => !inUse.has(cid) && !removed.includes(cid));
      expect(kept.length).toBeLessThanOrEqual(oldCountMax);
      expect(kept.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(oldBytesMax);
    }),
  );
});
