import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Prng } from "../prng.ts";
import { kibibyte } from "../units.ts";
import { Chunker } from "./chunker.ts";
import { digest } from "../digest.ts";
import { cutSegment, joinSegment, segmentHeadBytes } from "./segments.ts";

/** Content with stretches of noise, of one byte, and of noise that was there before. */
function contentOf(seed: number, bytes: number): Uint8Array {
  const prng = new Prng(seed);
  const content = new Uint8Array(bytes);
  for (let at = 0; at < bytes;) {
    const length = Math.min(bytes - at, 1 + prng.below(700 * kibibyte));
    const kind = prng.below(4);
    if (kind === 0) content.fill(prng.below(256), at, at + length);
    else if (kind === 1 && at > length) content.copyWithin(at, at - length, at);
    else for (let byte = at; byte < at + length; byte += 1) content[byte] = prng.nextUint32();
    at += length;
  }
  return content;
}

function chunkedAtOnce(content: Uint8Array): string[] {
  const chunker = new Chunker();
  const chunks: string[] = [];
  chunker.push(content);
  chunker.finish();
  for (let chunk = chunker.next(); chunk !== undefined; chunk = chunker.next()) {
    chunks.push(`${chunk.length} ${digest(chunk).toHex()}`);
  }
  return chunks;
}

/** Cuts every segment by itself first, then joins them in order. */
function chunkedInSegments(content: Uint8Array, lengths: () => number): string[] {
  const chunks: string[] = [];
  let carry = new Uint8Array(0);
  for (let from = 0, isLast = false; !isLast;) {
    const to = Math.min(content.length, from + lengths());
    isLast = to === content.length;
    const buffer = new Uint8Array(segmentHeadBytes + to - from);
    buffer.set(content.subarray(from, to), segmentHeadBytes);
    const cuts = cutSegment(buffer, segmentHeadBytes, buffer.length, isLast);
    let start = segmentHeadBytes - carry.length;
    buffer.set(carry, start);
    const joined = joinSegment(buffer, start, cuts, buffer.length, isLast);
    for (const [index, end] of joined.ends.entries()) {
      const hash = joined.hashes.subarray(index * 32, index * 32 + 32);
      expect(digest(buffer.subarray(start, end)).toHex()).toBe(hash.toHex());
      chunks.push(`${end - start} ${hash.toHex()}`);
      start = end;
    }
    carry = buffer.slice(start);
    from = to;
  }
  return chunks;
}

test("segments that are cut by themselves and joined give the chunks of the whole stream", () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.integer({ min: 0, max: 6000 * kibibyte }),
      fc.integer(),
      fc.constantFrom(1 * kibibyte, 80 * kibibyte, 900 * kibibyte, 4000 * kibibyte),
      (seed, bytes, lengthSeed, lengthMax) => {
        const prng = new Prng(lengthSeed);
        const content = contentOf(seed, bytes);
        const lengths = (): number => 1 + prng.below(lengthMax) + (bytes >> 6);
        expect(chunkedInSegments(content, lengths)).toEqual(chunkedAtOnce(content));
      },
    ),
    { numRuns: 10 },
  );
});
