import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cidOf, cidOfHash, decodeCid } from "./cid.ts";
import { digest } from "./digest.ts";
import { isArtifactCid } from "./ids.ts";

describe("cid", () => {
  test("names the empty map as other implementations do", () => {
    // 0x01 0x71 0x1e 0x20 and BLAKE3 of the byte 0xa0, in base32.
    expect(cidOf(Uint8Array.of(0xa0))).toMatch(/^bafyr4i[a-z2-7]{52}$/);
  });

  test("carries the hash there and back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const cid = cidOf(bytes);
        expect(isArtifactCid(cid)).toBe(true);
        expect(Buffer.compare(decodeCid(cid), digest(bytes))).toBe(0);
        expect(cidOfHash(decodeCid(cid))).toBe(cid);
      }),
    );
  });

  test.for([
    "",
    "b",
    // Version 0, SHA-256, raw codec, upper case, another base.
    "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",
    "bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy",
    "bafkr4ih2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zyi",
    cidOf(Uint8Array.of(1)).toUpperCase(),
    `z${cidOf(Uint8Array.of(1))}`,
    `${cidOf(Uint8Array.of(1))}a`,
    cidOf(Uint8Array.of(1)).slice(0, -1),
    "../../../etc/passwd",
  ])("refuses %j", (text) => {
    expect(() => decodeCid(text)).toThrow(expect.objectContaining({ code: "cid_invalid" }));
  });

  test("has one spelling: no other last character names the same hash", () => {
    const cid = cidOf(Uint8Array.of(2));
    const others = "abcdefghijklmnopqrstuvwxyz234567"
      .split("")
      .map((last) => cid.slice(0, -1) + last);
    const same = others.filter((other) => {
      try {
        return Buffer.compare(decodeCid(other), decodeCid(cid)) === 0;
      } catch {
        return false;
      }
    });
    expect(same).toEqual([cid]);
  });
});
