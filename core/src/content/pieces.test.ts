import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  chunkBytesMax,
  pieceBytesMax,
  pieceBytesTargetMax,
  pieceBytesTargetMin,
} from "../limits.ts";
import { gibibyte, kibibyte, mebibyte } from "../units.ts";
import { derivePieces, pieceAim } from "./pieces.ts";

const chunkLists = fc.array(
  fc.oneof(
    fc.integer({ min: 1, max: chunkBytesMax }),
    fc.constantFrom(1, 64 * kibibyte, pieceBytesTargetMin - 1, pieceBytesTargetMin),
  ),
  { maxLength: 60 },
);

describe("pieces", () => {
  test("cover every chunk once, in order, and end with the chunk that reaches the aim", () => {
    fc.assert(
      fc.property(chunkLists, (sizes) => {
        const bytes = sizes.reduce((sum, size) => sum + size, 0);
        const map = derivePieces({ bytes, chunkBytes: Uint32Array.from(sizes) });
        const aim = pieceAim(bytes);
        let next = 0;
        for (let piece = 0; piece < map.count; piece += 1) {
          expect(map.firstChunk(piece)).toBe(next);
          const end = next + map.chunkCount(piece);
          for (let chunk = next; chunk < end; chunk += 1) expect(map.pieceOf(chunk)).toBe(piece);
          const length = map.bytes(piece);
          expect(length).toBe(map.chunkOffset(end) - map.chunkOffset(next));
          expect(length).toBeLessThanOrEqual(pieceBytesMax);
          if (piece < map.count - 1) expect(length).toBeGreaterThanOrEqual(aim);
          expect(length - (sizes[end - 1] as number)).toBeLessThan(aim);
          next = end;
        }
        expect(next).toBe(sizes.length);
        expect(map.chunksCount).toBe(sizes.length);
        expect(map.chunkOffset(sizes.length)).toBe(bytes);
      }),
    );
  });

  test("are aimed at a part of the artifact within bounds", () => {
    expect(pieceAim(0)).toBe(pieceBytesTargetMin);
    expect(pieceAim(60 * mebibyte)).toBe(pieceBytesTargetMin);
    expect(pieceAim(512 * mebibyte)).toBe(2 * mebibyte);
    expect(pieceAim(10 * gibibyte)).toBe(pieceBytesTargetMax);
  });

  test("an empty artifact has none", () => {
    const map = derivePieces({ bytes: 0, chunkBytes: new Uint32Array(0) });
    expect(map.count).toBe(0);
    expect(map.chunkOffset(0)).toBe(0);
    expect(() => map.firstChunk(1)).toThrow("no piece or chunk 1");
  });
});
