import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { digest, toHex } from "../digest.ts";
import { chunkBytesMax, chunkBytesMin } from "../limits.ts";
import { Prng } from "../prng.ts";
import { kibibyte, mebibyte } from "../units.ts";
import { Chunker, nextCut, noCut } from "./chunker.ts";

const goldenFile = new URL("../../../test/fixtures/chunker/v1/cuts.json", import.meta.url);

function randomBytes(seed: number, length: number): Uint8Array {
  const prng = new Prng(seed);
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let index = 0; index < words.length; index += 1) words[index] = prng.nextUint32();
  return new Uint8Array(words.buffer).subarray(0, length);
}

function cutsOf(bytes: Uint8Array): number[] {
  const cuts: number[] = [];
  for (let start = 0; start < bytes.length;) {
    start = nextCut(bytes, start, bytes.length, true);
    cuts.push(start);
  }
  return cuts;
}

/** The definition, slowly: the hash of the 32 bytes that end at each place, one mask or the other. */
function slowCutsOf(bytes: Uint8Array): number[] {
  const gear = Array.from({ length: 256 }, (_, byte) => {
    const hash = digest(Uint8Array.from([...new TextEncoder().encode("shoal.gear.1"), byte]));
    return BigInt(new DataView(hash.buffer, hash.byteOffset).getUint32(0, true));
  });
  const cuts: number[] = [];
  let start = 0;
  for (let end = 1; end <= bytes.length; end += 1) {
    const size = end - start;
    let isCut = size === chunkBytesMax || end === bytes.length;
    if (!isCut && size > chunkBytesMin) {
      let hash = 0n;
      for (let index = end - 32; index < end; index += 1) {
        hash = ((hash << 1n) + (gear[bytes[index] as number] as bigint)) & 0xffff_ffffn;
      }
      const mask = size <= 210 * kibibyte ? 0x7fff_f800n : 0x7fff_8000n;
      isCut = (hash & mask) === 0n;
    }
    if (isCut) {
      cuts.push(end);
      start = end;
    }
  }
  return cuts;
}

function cutInPortions(bytes: Uint8Array, portions: Iterable<number>): Uint8Array[] {
  const chunker = new Chunker();
  const chunks: Uint8Array[] = [];
  const drain = (): void => {
    for (let chunk = chunker.next(); chunk !== undefined; chunk = chunker.next()) {
      chunks.push(chunk.slice());
    }
  };
  let offset = 0;
  for (const portion of portions) {
    chunker.push(bytes.subarray(offset, offset + portion));
    offset = Math.min(bytes.length, offset + portion);
    drain();
  }
  chunker.push(bytes.subarray(offset));
  drain();
  chunker.finish();
  drain();
  return chunks;
}

function endsOf(chunks: readonly Uint8Array[]): number[] {
  let end = 0;
  return chunks.map((chunk) => (end += chunk.length));
}

describe("chunker", () => {
  test("doesn't depend on where in memory the bytes lie", () => {
    const bytes = randomBytes(5, 1500 * kibibyte + 3);
    const expected = cutsOf(bytes);
    for (let offset = 1; offset < 4; offset += 1) {
      const elsewhere = new Uint8Array(bytes.length + offset).subarray(offset);
      elsewhere.set(bytes);
      expect(cutsOf(elsewhere)).toEqual(expected);
    }
  });

  test("cuts the golden streams where every version has cut them", () => {
    const golden: { seed: number; bytes: number; blake3: string; cuts: number[] }[] = JSON.parse(
      readFileSync(goldenFile, "utf8"),
    );
    expect(golden.length).toBeGreaterThan(2);
    for (const { seed, bytes, blake3, cuts } of golden) {
      const input = randomBytes(seed, bytes);
      expect(toHex(digest(input))).toBe(blake3);
      expect(cutsOf(input)).toEqual(cuts);
    }
  });

  test("cuts where the definition says", () => {
    // Half of it random, half of it text-like, so that both masks and the largest size are met.
    const bytes = randomBytes(7, 1200 * kibibyte);
    for (let index = 600 * kibibyte; index < bytes.length; index += 1) {
      bytes[index] = 97 + ((bytes[index] as number) % 3);
    }
    expect(cutsOf(bytes)).toEqual(slowCutsOf(bytes));
  });

  test("keeps every size but the last within the limits, with a mean near 256 KiB", () => {
    const bytes = randomBytes(11, 24 * mebibyte);
    const cuts = cutsOf(bytes);
    const sizes = cuts.map((cut, index) => cut - (cuts[index - 1] ?? 0));
    for (const size of sizes.slice(0, -1)) {
      expect(size).toBeGreaterThan(chunkBytesMin);
      expect(size).toBeLessThanOrEqual(chunkBytesMax);
    }
    const mean = bytes.length / cuts.length / kibibyte;
    expect(mean).toBeGreaterThan(215);
    expect(mean).toBeLessThan(300);
  });

  test("cuts the same wherever the portions end", () => {
    const bytes = randomBytes(3, 3 * mebibyte);
    const whole = cutsOf(bytes);
    const portion = fc.oneof(
      fc.integer({ min: 0, max: 64 }),
      fc.integer({ min: 1, max: 3 * mebibyte }),
      fc.constantFrom(chunkBytesMin, chunkBytesMin + 1, chunkBytesMax, chunkBytesMax - 1),
    );
    fc.assert(
      fc.property(fc.array(portion, { maxLength: 40 }), (portions) => {
        const chunks = cutInPortions(bytes, portions);
        expect(endsOf(chunks)).toEqual(whole);
        expect(Buffer.compare(Buffer.concat(chunks), bytes)).toBe(0);
      }),
      { numRuns: 30 },
    );
  });

  test("searches no byte twice when bytes come one at a time", () => {
    const bytes = randomBytes(5, 600 * kibibyte);
    const chunks = cutInPortions(bytes, {
      *[Symbol.iterator]() {
        for (let count = 0; count < bytes.length; count += 1) yield 1;
      },
    });
    expect(endsOf(chunks)).toEqual(cutsOf(bytes));
  });

  test("moves only the cuts near an insertion", () => {
    const bytes = randomBytes(13, 8 * mebibyte);
    const inserted = Buffer.concat([
      bytes.subarray(0, mebibyte),
      Buffer.from("!"),
      bytes.subarray(mebibyte),
    ]);
    const before = new Set(cutsOf(bytes));
    const kept = cutsOf(inserted).filter((cut) => before.has(cut <= mebibyte ? cut : cut - 1));
    expect(before.size - kept.length).toBeLessThanOrEqual(3);
  });

  test("cuts bytes without content at the largest size", () => {
    const zeros = new Uint8Array(2 * mebibyte + 5);
    expect(cutsOf(zeros)).toEqual([mebibyte, 2 * mebibyte, 2 * mebibyte + 5]);
  });

  test("makes no chunk of nothing", () => {
    expect(nextCut(new Uint8Array(0), 0, 0, true)).toBe(noCut);
    expect(cutInPortions(new Uint8Array(0), [0, 0])).toEqual([]);
  });
});
