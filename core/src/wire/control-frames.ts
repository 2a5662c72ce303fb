// The control stream's framing (PROTOCOL.md 6.1): a uint32 little-endian length before each message.
// The decoder takes the stream in any portions, holds at most one message, and checks a length before
// it allocates.
import { assert, remoteError } from "../error.ts";
import { controlMessageBytesMax } from "../limits.ts";

const lengthBytes = 4;

/** A message with its length, ready to be sent. */
export function encodeControlFrame(message: Uint8Array): Uint8Array {
  assert(message.length >= 1 && message.length <= controlMessageBytesMax, "a message fits a frame");
  const frame = new Uint8Array(lengthBytes + message.length);
  new DataView(frame.buffer).setUint32(0, message.length, true);
  frame.set(message, lengthBytes);
  return frame;
}

/**
 * Call `push` with a portion, then `next` until it answers undefined. Messages own their memory.
 * Throws `message_invalid`; the decoder is of no use after that.
 */
export class ControlFrameDecoder {
  readonly #head: Uint8Array = new Uint8Array(lengthBytes);
  #headFilled = 0;
  #message: Uint8Array | undefined;
  #messageFilled = 0;
  #portion: Uint8Array = new Uint8Array(0);
  #consumed = 0;

  push(portion: Uint8Array): void {
    assert(this.#consumed === this.#portion.length, "messages are drained before more is pushed");
    this.#portion = portion;
    this.#consumed = 0;
  }

  next(): Uint8Array | undefined {
    if (this.#message === undefined) {
      this.#headFilled += this.#take(this.#head, this.#headFilled);
      if (this.#headFilled < lengthBytes) return undefined;
      const length = new DataView(this.#head.buffer).getUint32(0, true);
      if (length < 1 || length > controlMessageBytesMax) {
        throw remoteError("message_invalid", `a control message of ${length} bytes`, { length });
      }
      this.#message = new Uint8Array(length);
      this.#messageFilled = 0;
    }
    const message = this.#message;
    this.#messageFilled += this.#take(message, this.#messageFilled);
    if (this.#messageFilled < message.length) return undefined;
    this.#message = undefined;
    this.#headFilled = 0;
    return message;
  }

  #take(into: Uint8Array, filled: number): number {
    const count = Math.min(into.length - filled, this.#portion.length - this.#consumed);
    into.set(this.#portion.subarray(this.#consumed, this.#consumed + count), filled);
    this.#consumed += count;
    return count;
  }
}
