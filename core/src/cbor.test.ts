import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeCbor, encodeCbor } from "./cbor.ts";
import { ShoalError } from "./error.ts";

const limits = { bytesMax: 4096, depthMax: 6, itemsMax: 500 };
const hex = (text: string): Uint8Array => Uint8Array.fromHex(text.replaceAll(" ", ""));

describe("cbor", () => {
  test("gives back what it encoded", () => {
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.maxSafeInteger(),
        fc.boolean(),
        fc.constant(null),
        fc.string({ unit: "grapheme" }),
        fc.uint8Array(),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.array(tie("value"), { maxLength: 5 }),
        fc.dictionary(
          fc.string({ maxLength: 5 }).filter((key) => key !== "__proto__"),
          tie("value"),
          { maxKeys: 5 },
        ),
      ),
    }));
    fc.assert(
      fc.property(value, (plain) => {
        const bytes = encodeCbor(plain);
        if (bytes.length > limits.bytesMax) return;
        expect(encodeCbor(decodeCbor(bytes, limits))).toEqual(bytes);
      }),
    );
  });

  test.for<[string, string]>([
    ["nothing", ""],
    ["a head without its number", "19 01"],
    ["two items", "01 02"],
    ["a number longer than it need be", "18 01"],
    ["a map out of order", "a2 61 62 01 61 61 02"],
    ["a key twice", "a2 61 61 01 61 61 02"],
    ["a key that isn't text", "a1 01 02"],
    ["text that isn't UTF-8", "61 ff"],
    ["text that is an encoded surrogate", "63 ed a0 80"],
    ["a string longer than the rest", "5b 00 00 ff ff ff ff ff ff"],
    ["an array longer than the rest", "9b 00 ff ff ff ff ff ff ff"],
    ["a map longer than the rest", "bb 7f ff ff ff ff ff ff ff"],
    ["an indefinite array", "9f 01 ff"],
    ["a break", "ff"],
    ["undefined", "f7"],
    ["a half float", "f9 3c 00"],
    ["not a number", "fb 7f f8 00 00 00 00 00 00"],
    ["a float for a whole number", "fb 3f f0 00 00 00 00 00 00"],
    ["a tag", "c0 61 61"],
    ["a deep nest", "81".repeat(100)],
  ])("refuses %s", ([, text]) => {
    expect(() => decodeCbor(hex(text), limits)).toThrow(
      expect.objectContaining({ code: "cbor_invalid" }),
    );
  });

  test("a key __proto__ is a key like any other and changes no prototype", () => {
    const value = decodeCbor(hex("a1 69 5f5f70726f746f5f5f a0"), limits);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(Object.keys(value as object)).toEqual(["__proto__"]);
  });

  test("refuses more bytes and more items than allowed before building anything", () => {
    expect(() => decodeCbor(new Uint8Array(5000), limits)).toThrow("more than 4096 bytes");
    const many = encodeCbor(Array.from({ length: 600 }, () => 0));
    expect(() => decodeCbor(many, limits)).toThrow("more than 500 items");
  });

  test("throws nothing but ShoalError for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          const value = decodeCbor(bytes, limits);
          expect(encodeCbor(value)).toEqual(Uint8Array.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(ShoalError);
          expect(error).toHaveProperty("code", "cbor_invalid");
        }
      }),
      { numRuns: 20_000 },
    );
  });
});
