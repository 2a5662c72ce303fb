import { expect, test } from "vitest";
import { ManifestCache } from "./manifest-cache.ts";

function counting(bytes: number): { cache: ManifestCache; loads: string[] } {
  const loads: string[] = [];
  const cache = new ManifestCache(async (cid) => {
    loads.push(cid);
    return cid === "none" ? undefined : new Uint8Array(bytes);
  }, 100);
  return { cache, loads };
}

test("a thousand askers at once cost one read", async () => {
  const { cache, loads } = counting(10);
  await Promise.all(Array.from({ length: 1000 }, () => cache.get("a")));
  await cache.get("a");
  expect(loads).toEqual(["a"]);
});

test("what was asked for longest ago makes room", async () => {
  const { cache, loads } = counting(40);
  for (const cid of ["a", "b", "a", "c", "a", "b"]) await cache.get(cid);
  expect(loads).toEqual(["a", "b", "c", "b"]);
});

test("nothing is kept of what isn't there or doesn't fit", async () => {
  const { cache, loads } = counting(101);
  for (const cid of ["none", "none", "a", "a"]) await cache.get(cid);
  expect(loads).toEqual(["none", "none", "a", "a"]);
});

test("a read that failed is tried again by the next one who asks", async () => {
  let failures = 1;
  const cache = new ManifestCache(async () => {
    if (failures-- > 0) throw new Error("the disk is away");
    return new Uint8Array(1);
  }, 100);
  await expect(cache.get("a")).rejects.toThrow("the disk is away");
  expect(await cache.get("a")).toHaveLength(1);
});
