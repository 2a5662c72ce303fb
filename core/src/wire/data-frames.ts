// The data stream's framing (PROTOCOL.md 6.2): request id, chunk index and length, each uint32
// little-endian, then the raw bytes. A frame of chunk 0 without bytes ends its request: what wasn't
// sent won't be. The decoder takes the stream in any portions and asks its reader
// about every head before it allocates: a chunk that nobody asked for costs no memory. It doesn't
// hash. Bulk sockets carry the same frames.
import { assert, remoteError } from "../error.ts";
import { chunkBytesMax } from "../limits.ts";

export interface DataFrameHead {
  readonly request: number;
  readonly chunk: number;
  readonly length: number;
}

export interface DataFrame {
  readonly request: number;
  readonly chunk: number;
  /** Owns its memory; empty at the end of a request. */
  readonly bytes: Uint8Array;
}

export const dataHeadBytes = 12;

export function encodeDataHead({ request, chunk, length }: DataFrameHead): Uint8Array {
  assert(length >= 1 && length <= chunkBytesMax, "a chunk has an allowed size");
  const head = new Uint8Array(dataHeadBytes);
  const view = new DataView(head.buffer);
  view.setUint32(0, request, true);
  view.setUint32(4, chunk, true);
  view.setUint32(8, length, true);
  return head;
}

/** The frame that ends a request without the rest of its chunks. */
export function encodeDataEnd(request: number): Uint8Array {
  const head = new Uint8Array(dataHeadBytes);
  new DataView(head.buffer).setUint32(0, request, true);
  return head;
}

/** Whether this frame is the one that is due; the answer `false` ends the stream. */
export type ExpectFrame = (head: DataFrameHead) => boolean;

/**
 * Call `push` with a portion, then `next` until it answers undefined. Throws `data_frame_invalid` for
 * an impossible length or a frame that `expects` refuses; the decoder is of no use after that.
 */
export class DataFrameDecoder {
  readonly #expects: ExpectFrame;
  readonly #headBytes: Uint8Array = new Uint8Array(dataHeadBytes);
  #headFilled = 0;
  #head: DataFrameHead | undefined;
  #body: Uint8Array = new Uint8Array(0);
  #bodyFilled = 0;
  #portion: Uint8Array = new Uint8Array(0);
  #consumed = 0;

  constructor(expects: ExpectFrame) {
    this.#expects = expects;
  }

  push(portion: Uint8Array): void {
    assert(this.#consumed === this.#portion.length, "frames are drained before more is pushed");
    this.#portion = portion;
    this.#consumed = 0;
  }

  next(): DataFrame | undefined {
    if (this.#head === undefined) {
      this.#headFilled += this.#take(this.#headBytes, this.#headFilled);
      if (this.#headFilled < dataHeadBytes) return undefined;
      this.#head = this.#openHead();
      this.#body = new Uint8Array(this.#head.length);
      this.#bodyFilled = 0;
    }
    this.#bodyFilled += this.#take(this.#body, this.#bodyFilled);
    if (this.#bodyFilled < this.#body.length) return undefined;
    const { request, chunk } = this.#head;
    this.#head = undefined;
    this.#headFilled = 0;
    return { request, chunk, bytes: this.#body };
  }

  #openHead(): DataFrameHead {
    const view = new DataView(this.#headBytes.buffer);
    const request = view.getUint32(0, true);
    const chunk = view.getUint32(4, true);
    const length = view.getUint32(8, true);
    if (length > chunkBytesMax || (length === 0 && chunk !== 0)) {
      throw remoteError("data_frame_invalid", `a data frame of ${length} bytes`, { length });
    }
    const head = { request, chunk, length };
    if (!this.#expects(head)) {
      throw remoteError("data_frame_invalid", "a data frame that nobody asked for", head);
    }
    return head;
  }

  #take(into: Uint8Array, filled: number): number {
    const count = Math.min(into.length - filled, this.#portion.length - this.#consumed);
    into.set(this.#portion.subarray(this.#consumed, this.#consumed + count), filled);
    this.#consumed += count;
    return count;
  }
}
