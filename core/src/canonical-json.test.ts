import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson } from "./canonical-json.ts";

describe("canonical JSON", () => {
  test("sorts keys by UTF-16 code units at every level and writes no spaces", () => {
    const value = {
      b: [{ z: 1, a: null }],
      "10": true,
      "9": "é\n",
      a: -0,
      "\u{10000}": 1,
      "\uffff": 2,
    };
    expect(canonicalJson(value)).toBe(
      '{"10":true,"9":"é\\n","a":0,"b":[{"a":null,"z":1}],"\u{10000}":1,"\uffff":2}',
    );
  });

  test("is JSON, and is the same for every order of keys", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const parsed: unknown = JSON.parse(JSON.stringify(value));
        const text = canonicalJson(parsed);
        expect(JSON.parse(text)).toEqual(parsed);
        expect(canonicalJson(reversed(parsed))).toBe(text);
      }),
    );
  });

  test.for([
    undefined,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1n,
    () => 1,
    { a: undefined },
    [undefined],
  ])("refuses %s, which JSON has no word for", (value) => {
    expect(() => canonicalJson(value)).toThrow(/no word for/);
  });
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, field]) => [key, reversed(field)]),
  );
}
