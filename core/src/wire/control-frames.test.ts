import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ShoalError } from "../error.ts";
import { controlMessageBytesMax } from "../limits.ts";
import { ControlFrameDecoder, encodeControlFrame } from "./control-frames.ts";

const message = fc.uint8Array({ minLength: 1, maxLength: 40 });

function framesIn(portions: readonly Uint8Array[]): readonly Uint8Array[] {
  const decoder = new ControlFrameDecoder();
  const frames: Uint8Array[] = [];
  for (const portion of portions) {
    decoder.push(portion);
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
      frames.push(frame);
    }
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

describe("control frames", () => {
  test("have the length before the message, little-endian", () => {
    expect(encodeControlFrame(Uint8Array.of(9, 8, 7)).toHex()).toBe("03000000090807");
  });

  test("come out whole, however the stream is cut", () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), fc.array(fc.nat()), (messages, places) => {
        const stream = join(messages.map(encodeControlFrame));
        expect(framesIn(cut(stream, places))).toEqual(messages);
      }),
    );
  });

  test.for([0, controlMessageBytesMax + 1, 0xffff_ffff])("refuse a length of %i", (length) => {
    const head = new Uint8Array(4);
    new DataView(head.buffer).setUint32(0, length, true);
    expect(() => framesIn([head])).toThrow(expect.objectContaining({ code: "message_invalid" }));
  });

  test("answer any stream with messages or a remote error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.array(fc.nat()), (stream, places) => {
        try {
          for (const frame of framesIn(cut(stream, places)))
            expect(frame.length).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(ShoalError);
          expect((error as ShoalError).blame).toBe("remote");
        }
      }),
      { numRuns: 2000 },
    );
  });
});
