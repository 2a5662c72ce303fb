import { expect, test } from "vitest";
import { wholeTextBytes } from "./whole-text.ts";

test.for([
  ["nothing", [], 0],
  ["plain text", [0x61, 0x62], 2],
  ["a whole character of two bytes", [0x61, 0xc3, 0xa4], 3],
  ["the first of two bytes", [0x61, 0xc3], 1],
  ["two of three bytes", [0x61, 0xe2, 0x82], 1],
  ["three of four bytes", [0xf0, 0x9f, 0x98], 0],
  ["four of four bytes", [0xf0, 0x9f, 0x98, 0x80], 4],
  ["bytes that continue nothing", [0x80, 0x80, 0x80, 0x80, 0x80], 5],
] as const)("cuts after %s", ([, bytes, whole]) => {
  expect(wholeTextBytes(Uint8Array.from(bytes))).toBe(whole);
});
