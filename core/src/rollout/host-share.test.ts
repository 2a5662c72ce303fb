import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hostShare } from "./host-share.ts";

describe("host shares", () => {
  test("are the first 53 bits of the hash, and don't change from version to version", () => {
    // BLAKE3("s\0host-1") begins with 64895791b9494abe.
    expect(hostShare("s", "host-1")).toBe(Number(0x64895791b9494aben >> 11n) / 2 ** 53);
    expect(hostShare("s", "host-1")).toBe(0.39272067363461816);
  });

  test("are at least 0 and below 1", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (salt, host) => {
        const share = hostShare(salt, host);
        expect(share >= 0 && share < 1).toBe(true);
      }),
    );
  });

  test("spread evenly: a tenth of the range has about a tenth of the hosts", () => {
    const counts = Array.from({ length: 10 }, () => 0);
    for (let host = 0; host < 10_000; host += 1) {
      const tenth = Math.floor(hostShare("salt", `host-${host}`) * 10);
      counts[tenth] = (counts[tenth] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  test("give another order of hosts for another salt", () => {
    const hosts = Array.from({ length: 20 }, (_, index) => `host-${index}`);
    const orderBy = (salt: string): string[] =>
      hosts.toSorted((a, b) => hostShare(salt, a) - hostShare(salt, b));
    expect(orderBy("one")).not.toEqual(orderBy("two"));
  });
});
