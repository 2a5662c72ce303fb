import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeBase64, decodeBase64Url, encodeBase64, encodeBase64Url } from "./base64.ts";

describe("strict base64", () => {
  test("gives back what was encoded, in both alphabets", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        expect([...decodeBase64(encodeBase64(bytes))]).toEqual([...bytes]);
        expect([...decodeBase64Url(encodeBase64Url(bytes))]).toEqual([...bytes]);
      }),
    );
  });

  test("has one spelling: whatever decodes is what would be encoded", () => {
    const characters = fc.constantFrom("A", "B", "w", "x", "9", "/", "+", "-", "_", "=", " ", "\n");
    fc.assert(
      fc.property(fc.array(characters, { maxLength: 9 }), (parts) => {
        const text = parts.join("");
        for (const [decode, encode] of [
          [decodeBase64, encodeBase64],
          [decodeBase64Url, encodeBase64Url],
        ] as const) {
          let bytes;
          try {
            bytes = decode(text);
          } catch (error) {
            expect(error).toMatchObject({ code: "base64_invalid" });
            continue;
          }
          expect(encode(bytes)).toBe(text);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test.for(["AA", "AA=", "A", "AA==\n", " AA==", "AB==", "A=A=", "AA-_", "===="])(
    "refuses %j in the standard alphabet",
    (text) => {
      expect(() => decodeBase64(text)).toThrow(expect.objectContaining({ code: "base64_invalid" }));
    },
  );

  test.for(["AA==", "A", "AB", "A/+A", "AA "])("refuses %j in the URL alphabet", (text) => {
    expect(() => decodeBase64Url(text)).toThrow(
      expect.objectContaining({ code: "base64_invalid" }),
    );
  });
});
