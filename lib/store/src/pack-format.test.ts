import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { digest, toHex } from "@shoal/core/digest";
import { ShoalError } from "@shoal/core/error";
import {
  coding,
  decodePackRows,
  encodePackEnd,
  encodePackHead,
  packEndBytes,
  packHeadBytes,
  packTailBytes,
  type PackRow,
} from "./pack-format.ts";

interface Pack {
  readonly bytes: Uint8Array;
  readonly rows: readonly PackRow[];
}

function packOf(sizes: readonly (readonly [stored: number, raw: number])[]): Pack {
  const head = encodePackHead(Uint8Array.from({ length: 16 }, (_, index) => index));
  let offset = packHeadBytes;
  const rows = sizes.map(([storedBytes, rawBytes], index) => {
    const how = storedBytes === rawBytes ? coding.raw : coding.zstd;
    const row = { hash: digest(Uint8Array.of(index)), offset, storedBytes, rawBytes, coding: how };
    offset += storedBytes;
    return row;
  });
  const chunks = new Uint8Array(offset - packHeadBytes).fill(7);
  return { bytes: new Uint8Array(Buffer.concat([head, chunks, encodePackEnd(head, rows)])), rows };
}

function open(bytes: Uint8Array): readonly PackRow[] {
  const end = packEndBytes(bytes.subarray(-packTailBytes), bytes.length);
  return decodePackRows(bytes.subarray(0, packHeadBytes), bytes.subarray(-end), bytes.length);
}

const sizes = fc.array(
  fc
    .integer({ min: 1, max: 3000 })
    .chain((raw) => fc.tuple(fc.integer({ min: 1, max: raw }), fc.constant(raw))),
  { maxLength: 20 },
);

test("rows come out as they went in", () => {
  fc.assert(
    fc.property(sizes, (list) => {
      const { bytes, rows } = packOf(list);
      expect(open(bytes)).toEqual(rows);
    }),
  );
});

test("a flipped bit outside the chunks, a cut end or a longer pack is refused", () => {
  fc.assert(
    fc.property(sizes, fc.nat(), (list, seed) => {
      const { bytes } = packOf(list);
      const chunkBytes = list.reduce((sum, [stored]) => sum + stored, 0);
      const at = seed % (bytes.length - chunkBytes);
      const index = at < packHeadBytes ? at : at + chunkBytes;
      const flipped = bytes.slice();
      flipped[index] = (flipped[index] as number) ^ (1 << (seed & 7));
      for (const wrong of [
        flipped,
        bytes.slice(0, bytes.length - 1 - (seed % 9)),
        Buffer.concat([bytes, Buffer.of(0)]),
      ]) {
        expect(() => open(wrong)).toThrow(expect.objectContaining({ code: "pack_invalid" }));
      }
    }),
  );
});

test("no bytes make it throw anything but pack_invalid", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      try {
        open(bytes);
      } catch (error) {
        if (!(error instanceof ShoalError)) throw error;
        expect(error.code).toBe("pack_invalid");
      }
    }),
    { numRuns: 500 },
  );
});

test("rows that claim what can't be are refused though their hash is right", () => {
  const row = {
    hash: new Uint8Array(32),
    offset: packHeadBytes,
    storedBytes: 4,
    rawBytes: 9,
    coding: coding.zstd,
  };
  const wrongs: Partial<PackRow>[] = [
    { rawBytes: 0 },
    { rawBytes: 2 ** 20 + 1 },
    { storedBytes: 9 },
    { storedBytes: 0 },
    { coding: coding.raw },
    { coding: 2 as never },
    { storedBytes: 5 },
  ];
  for (const wrong of wrongs) {
    const head = encodePackHead(new Uint8Array(16));
    const end = encodePackEnd(head, [{ ...row, ...wrong }]);
    const bytes = Buffer.concat([head, new Uint8Array(4), end]);
    expect(() => open(bytes), JSON.stringify(wrong)).toThrow(ShoalError);
  }
});

test("opens the golden pack", () => {
  const folder = new URL("../../../test/fixtures/pack/v1/", import.meta.url);
  const bytes = new Uint8Array(readFileSync(new URL("two-chunks.pack", folder)));
  const rows = open(bytes).map((row) => ({ ...row, hash: toHex(row.hash) }));
  expect(rows).toEqual(JSON.parse(readFileSync(new URL("two-chunks.json", folder), "utf8")));
});
