import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { digest } from "../digest.ts";
import { chunkBytesMax } from "../limits.ts";
import {
  ChunkFrameDecoder,
  encodeChunkFrame,
  encodeFrameHead,
  frameHeadBytes,
  type ChunkFrame,
} from "./chunk-frames.ts";

function decodeInPortions(body: Uint8Array, portions: readonly number[]): ChunkFrame[] {
  const decoder = new ChunkFrameDecoder();
  const frames: ChunkFrame[] = [];
  const feed = (portion: Uint8Array): void => {
    // A copy that is overwritten afterwards: frames must not depend on a portion's memory.
    const copy = portion.slice();
    decoder.push(copy);
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next())
      frames.push(frame);
    copy.fill(0xee);
  };
  let offset = 0;
  for (const portion of portions) {
    feed(body.subarray(offset, offset + portion));
    offset = Math.min(body.length, offset + portion);
  }
  feed(body.subarray(offset));
  decoder.finish();
  return frames;
}

const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { maxLength: 8 });

describe("chunk frames", () => {
  test("of the golden body mean what they meant, and are written the same", () => {
    const url = new URL("../../../test/fixtures/frames/v1/chunk-frame.bin", import.meta.url);
    const body = new Uint8Array(readFileSync(url));
    const chunks = [Uint8Array.from({ length: 100 }, (_unused, at) => at), Uint8Array.of(7)];
    expect(decodeInPortions(body, []).map(({ bytes }) => bytes)).toEqual(chunks);
    const again = chunks.flatMap((chunk) => [...encodeChunkFrame(digest(chunk), chunk)]);
    expect(Uint8Array.from(again)).toEqual(body);
  });

  test("come out as they went in, whatever the portions", () => {
    fc.assert(
      fc.property(bodies, fc.array(fc.nat(90), { maxLength: 30 }), (chunks, portions) => {
        const body = Buffer.concat(chunks.map((chunk) => encodeChunkFrame(digest(chunk), chunk)));
        const frames = decodeInPortions(body, portions);
        expect(frames.map((frame) => Buffer.from(frame.bytes))).toEqual(
          chunks.map((chunk) => Buffer.from(chunk)),
        );
        for (const frame of frames) expect(Buffer.compare(frame.hash, digest(frame.bytes))).toBe(0);
      }),
    );
  });

  test("the largest chunk fits, one byte more is refused before it is allocated", () => {
    const chunk = new Uint8Array(chunkBytesMax);
    expect(decodeInPortions(encodeChunkFrame(digest(chunk), chunk), [1000])).toHaveLength(1);
    for (const length of [0, chunkBytesMax + 1, 0xffff_ffff]) {
      const head = encodeFrameHead(digest(chunk), 1);
      new DataView(head.buffer).setUint32(32, length, true);
      expect(() => decodeInPortions(head, [])).toThrow(
        expect.objectContaining({ code: "chunk_frame_invalid" }),
      );
    }
    expect(() => encodeFrameHead(digest(chunk), 0)).toThrow("allowed size");
    expect(() => encodeFrameHead(new Uint8Array(31), 1)).toThrow("32 bytes");
  });

  test("a body that ends inside a frame is refused, wherever it ends", () => {
    const frame = encodeChunkFrame(digest(Uint8Array.of(1, 2)), Uint8Array.of(1, 2));
    for (let length = 1; length < frameHeadBytes + 2; length += 1) {
      expect(() => decodeInPortions(frame.subarray(0, length), [])).toThrow("ends inside a frame");
    }
    expect(decodeInPortions(frame.subarray(0, 0), [])).toEqual([]);
  });
});
