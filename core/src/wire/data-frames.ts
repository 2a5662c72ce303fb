// The framing of chunks on data streams and bulk sockets (PROTOCOL.md 6.2): request id, first chunk and
// length, each uint32 little-endian, then the raw bytes of one chunk or of a run of them. A frame of
// chunk 0 without bytes ends its request: what wasn't sent won't be. The decoders ask their reader about
// every head before they take memory: what nobody asked for costs none. They don't hash.
//
// Two decoders for two kinds of source: one is pushed portions and copies, the other says where the next
// bytes should go, so that a socket reads them into their place.
import { assert, remoteError } from "../error.ts";
import { runBytesMax } from "../limits.ts";

export interface DataFrameHead {
  readonly request: number;
  /** The first of the run. */
  readonly chunk: number;
  readonly length: number;
}

export interface DataFrame {
  readonly request: number;
  readonly chunk: number;
  /** Empty at the end of a request. */
  readonly bytes: Uint8Array;
}

export const dataHeadBytes = 12;

export function encodeDataHead(
  { request, chunk, length }: DataFrameHead,
  into: Uint8Array = new Uint8Array(dataHeadBytes),
): Uint8Array {
  assert(length >= 1 && length <= runBytesMax, "a run has an allowed size");
  const view = new DataView(into.buffer, into.byteOffset, dataHeadBytes);
  view.setUint32(0, request, true);
  view.setUint32(4, chunk, true);
  view.setUint32(8, length, true);
  return into;
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
 * an impossible length or a frame that `expects` refuses; the decoder is of no use after that. Frames
 * own their memory.
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
      this.#head = readHead(this.#headBytes, this.#expects);
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

  #take(into: Uint8Array, filled: number): number {
    const count = Math.min(into.length - filled, this.#portion.length - this.#consumed);
    into.set(this.#portion.subarray(this.#consumed, this.#consumed + count), filled);
    this.#consumed += count;
    return count;
  }
}

/**
 * Put bytes into `room()`, as many as there are and fit, and tell `took` how many. Throws like the other
 * decoder, and is of no use after that.
 */
export class DataFrameReader {
  readonly #expects: ExpectFrame;
  readonly #allocate: (head: DataFrameHead) => Uint8Array;
  readonly #headBytes: Uint8Array = new Uint8Array(dataHeadBytes);
  #head: DataFrameHead | undefined;
  #body: Uint8Array = this.#headBytes;
  #filled = 0;

  /** `allocate` gives memory of exactly the frame's length; it belongs to the frame that is answered. */
  constructor(expects: ExpectFrame, allocate: (head: DataFrameHead) => Uint8Array) {
    this.#expects = expects;
    this.#allocate = allocate;
  }

  /** Where the next bytes go: never empty, and never beyond the frame that has begun. */
  room(): Uint8Array {
    const into = this.#head === undefined ? this.#headBytes : this.#body;
    return this.#filled === 0 ? into : into.subarray(this.#filled);
  }

  /** The frame that these bytes complete, or undefined. */
  took(count: number): DataFrame | undefined {
    const into = this.#head === undefined ? this.#headBytes : this.#body;
    assert(count <= into.length - this.#filled, "no more was taken than there was room for");
    this.#filled += count;
    if (this.#filled < into.length) return undefined;
    this.#filled = 0;
    if (this.#head === undefined) {
      const head = readHead(this.#headBytes, this.#expects);
      if (head.length > 0) {
        this.#body = this.#allocate(head);
        this.#head = head;
        return undefined;
      }
      return { request: head.request, chunk: head.chunk, bytes: new Uint8Array(0) };
    }
    const { request, chunk } = this.#head;
    this.#head = undefined;
    return { request, chunk, bytes: this.#body };
  }
}

function readHead(bytes: Uint8Array, expects: ExpectFrame): DataFrameHead {
  const view = new DataView(bytes.buffer, bytes.byteOffset, dataHeadBytes);
  const request = view.getUint32(0, true);
  const chunk = view.getUint32(4, true);
  const length = view.getUint32(8, true);
  if (length > runBytesMax || (length === 0 && chunk !== 0)) {
    throw remoteError("data_frame_invalid", `a data frame of ${length} bytes`, { length });
  }
  const head = { request, chunk, length };
  if (!expects(head)) {
    throw remoteError("data_frame_invalid", "a data frame that nobody asked for", head);
  }
  return head;
}
