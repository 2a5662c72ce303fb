// Chunks in an HTTP body (PROTOCOL.md 2.4): hash, length, raw bytes, again and again. The decoder
// takes the body in any portions and holds at most one chunk; it checks the length before it
// allocates. It doesn't hash: whoever stores a chunk does.
import { digestBytes } from "../digest.ts";
import { assert, remoteError } from "../error.ts";
import { chunkBytesMax } from "../limits.ts";

export interface ChunkFrame {
  /** What the sender says the bytes hash to; unchecked. */
  readonly hash: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Bytes in front of every chunk: its hash and its length. */
export const frameHeadBytes: number = digestBytes + 4;

/** What to write before the raw bytes of a chunk. */
export function encodeFrameHead(hash: Uint8Array, chunkBytes: number): Uint8Array {
  assert(hash.length === digestBytes, "a chunk's hash has 32 bytes");
  assert(chunkBytes >= 1 && chunkBytes <= chunkBytesMax, "a chunk has an allowed size");
  const head = new Uint8Array(frameHeadBytes);
  head.set(hash);
  new DataView(head.buffer).setUint32(digestBytes, chunkBytes, true);
  return head;
}

/** A whole frame in one buffer; for large bodies send the head and the bytes one after the other. */
export function encodeChunkFrame(hash: Uint8Array, bytes: Uint8Array): Uint8Array {
  const frame = new Uint8Array(frameHeadBytes + bytes.length);
  frame.set(encodeFrameHead(hash, bytes.length));
  frame.set(bytes, frameHeadBytes);
  return frame;
}

/**
 * Call `push` with a portion, then `next` until it answers undefined, and so on; `finish` at the
 * end of the body. Frames own their memory; a portion is read until `next` answers undefined and
 * never afterwards. Throws `chunk_frame_invalid`; the decoder is of no use after that.
 */
export class ChunkFrameDecoder {
  readonly #head: Uint8Array = new Uint8Array(frameHeadBytes);
  #headFilled = 0;
  #body: Uint8Array | undefined;
  #bodyFilled = 0;
  #portion: Uint8Array = new Uint8Array(0);
  #consumed = 0;

  push(portion: Uint8Array): void {
    assert(this.#consumed === this.#portion.length, "frames are drained before more is pushed");
    this.#portion = portion;
    this.#consumed = 0;
  }

  next(): ChunkFrame | undefined {
    if (this.#body === undefined) {
      this.#headFilled += this.#take(this.#head, this.#headFilled);
      if (this.#headFilled < frameHeadBytes) return undefined;
      const length = new DataView(this.#head.buffer).getUint32(digestBytes, true);
      if (length < 1 || length > chunkBytesMax) {
        throw remoteError("chunk_frame_invalid", `a frame of ${length} bytes`, { length });
      }
      this.#body = new Uint8Array(length);
      this.#bodyFilled = 0;
    }
    const body = this.#body;
    this.#bodyFilled += this.#take(body, this.#bodyFilled);
    if (this.#bodyFilled < body.length) return undefined;
    this.#body = undefined;
    this.#headFilled = 0;
    return { hash: this.#head.slice(0, digestBytes), bytes: body };
  }

  /** Checks that the body didn't end inside a frame. */
  finish(): void {
    if (this.#headFilled === 0 && this.#consumed === this.#portion.length) return;
    throw remoteError("chunk_frame_invalid", "the body ends inside a frame");
  }

  /** Copies as much of the portion as fits behind what `target` already holds. */
  #take(target: Uint8Array, filled: number): number {
    const left = this.#portion.length - this.#consumed;
    const count = Math.min(left, target.length - filled);
    target.set(this.#portion.subarray(this.#consumed, this.#consumed + count), filled);
    this.#consumed += count;
    return count;
  }
}
