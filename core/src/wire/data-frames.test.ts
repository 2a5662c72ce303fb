import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ShoalError } from "../error.ts";
import { runBytesMax } from "../limits.ts";
import {
  type DataFrame,
  DataFrameDecoder,
  DataFrameReader,
  dataHeadBytes,
  encodeDataEnd,
  encodeDataHead,
  type ExpectFrame,
} from "./data-frames.ts";

const everything: ExpectFrame = () => true;
const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const chunkFrame: fc.Arbitrary<DataFrame> = fc.record({
  request: uint32,
  chunk: uint32,
  bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }),
});
const endFrame: fc.Arbitrary<DataFrame> = fc.record({
  request: uint32,
  chunk: fc.constant(0),
  bytes: fc.constant(new Uint8Array(0)),
});

function encode({ request, chunk, bytes }: DataFrame): readonly Uint8Array[] {
  if (bytes.length === 0) return [encodeDataEnd(request)];
  return [encodeDataHead({ request, chunk, length: bytes.length }), bytes];
}

function framesIn(portions: readonly Uint8Array[], expects: ExpectFrame): readonly DataFrame[] {
  const decoder = new DataFrameDecoder(expects);
  const frames: DataFrame[] = [];
  for (const portion of portions) {
    decoder.push(portion);
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
      frames.push(frame);
    }
  }
  return frames;
}

/** The same by the decoder that says where bytes go, at most so many of them at a time. */
function framesRead(
  stream: Uint8Array,
  expects: ExpectFrame,
  counts: readonly number[],
): readonly DataFrame[] {
  const reader = new DataFrameReader(expects, ({ length }) => new Uint8Array(length));
  const frames: DataFrame[] = [];
  for (let at = 0, turn = 0; at < stream.length; turn += 1) {
    const room = reader.room();
    expect(room.length).toBeGreaterThan(0);
    const most = counts[turn % Math.max(1, counts.length)] ?? room.length;
    const count = Math.min(Math.max(1, most), room.length, stream.length - at);
    room.set(stream.subarray(at, at + count));
    at += count;
    const frame = reader.took(count);
    if (frame !== undefined) frames.push(frame);
  }
  return frames;
}

/** The bytes in portions that end at these places. */
function cut(bytes: Uint8Array, places: readonly number[]): readonly Uint8Array[] {
  const ends = places.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b);
  return [...ends, bytes.length].map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function headOf(request: number, chunk: number, length: number): Uint8Array {
  const head = new Uint8Array(dataHeadBytes);
  const view = new DataView(head.buffer);
  [request, chunk, length].forEach((value, index) => view.setUint32(index * 4, value, true));
  return head;
}

describe("data frames", () => {
  test("of the golden stream mean what they meant, and are written the same", () => {
    const url = new URL("../../../test/fixtures/frames/v1/data-frame.bin", import.meta.url);
    const stream = new Uint8Array(readFileSync(url));
    const bytes = Uint8Array.from({ length: 100 }, (_unused, at) => at);
    const frames = [
      { request: 5, chunk: 77, bytes },
      { request: 6, chunk: 0, bytes: new Uint8Array(0) },
    ];
    expect(framesIn([stream], everything)).toEqual(frames);
    expect(join(frames.flatMap(encode))).toEqual(stream);
  });

  test("begin with request, chunk and length, little-endian", () => {
    const head = encodeDataHead({ request: 0x01020304, chunk: 5, length: 0x0a0b });
    expect(head.toHex()).toBe("04030201050000000b0a0000");
    expect(encodeDataEnd(7).toHex()).toBe("070000000000000000000000");
  });

  test("come out whole, however the stream is cut", () => {
    const frames = fc.array(fc.oneof(chunkFrame, endFrame), { maxLength: 6 });
    fc.assert(
      fc.property(frames, fc.array(fc.nat()), (list, places) => {
        const stream = join(list.flatMap(encode));
        expect(framesIn(cut(stream, places), everything)).toEqual(list);
      }),
    );
  });

  test("come out whole, however much a socket has at a time", () => {
    const frames = fc.array(fc.oneof(chunkFrame, endFrame), { maxLength: 6 });
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 30 })), (list, counts) => {
        expect(framesRead(join(list.flatMap(encode)), everything, counts)).toEqual(list);
      }),
    );
  });

  test("ask about a head before anything of its chunk is taken", () => {
    const asked: unknown[] = [];
    const refuses: ExpectFrame = (head) => {
      asked.push({ ...head });
      return false;
    };
    const head = encodeDataHead({ request: 1, chunk: 2, length: runBytesMax });
    expect(() => framesIn([head], refuses)).toThrow(
      expect.objectContaining({ code: "data_frame_invalid", blame: "remote" }),
    );
    expect(asked).toEqual([{ request: 1, chunk: 2, length: runBytesMax }]);
  });

  test.for([runBytesMax + 1, 0xffff_ffff])("refuse a length of %i without asking", (length) => {
    const fails: ExpectFrame = () => {
      throw new Error("asked about an impossible frame");
    };
    expect(() => framesIn([headOf(1, 2, length)], fails)).toThrow(
      expect.objectContaining({ code: "data_frame_invalid" }),
    );
  });

  test("own their memory, so that the buffer they came in can be used again", () => {
    const stream = join(encode({ request: 1, chunk: 2, bytes: Uint8Array.of(1, 2, 3) }));
    const [frame] = framesIn([stream], everything);
    stream.fill(0);
    expect(frame?.bytes).toEqual(Uint8Array.of(1, 2, 3));
  });

  test("answer any stream with frames or a remote error", () => {
    const expects: ExpectFrame = ({ request, length }) => request % 2 === 0 && length < 64;
    const small = fc.tuple(fc.nat(3), fc.nat(3), fc.nat(80)).map((parts) => headOf(...parts));
    const part = fc.oneof(small, fc.uint8Array({ maxLength: 40 }));
    fc.assert(
      fc.property(fc.array(part), fc.array(fc.nat()), (parts, places) => {
        try {
          for (const frame of framesIn(cut(join(parts), places), expects)) {
            expect(frame.request % 2).toBe(0);
            expect(frame.bytes.length).toBeLessThan(64);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(ShoalError);
          expect((error as ShoalError).blame).toBe("remote");
        }
      }),
      { numRuns: 2000 },
    );
  });
});
