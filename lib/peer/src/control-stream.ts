// The control stream of a link (PROTOCOL.md 6.1): messages out, messages in. The first message is read
// apart from the others, because nothing else is looked at before it.
import type { Stream } from "@libp2p/interface";
import { remoteError } from "@shoal/core/error";
import { controlQueueBytesMax } from "@shoal/core/limits";
import type { Bytes } from "@shoal/core/units";
import { ControlFrameDecoder, encodeControlFrame } from "@shoal/core/wire/control-frames";
import { decodeMessage, encodeMessage } from "@shoal/core/wire/message-codec";
import type { ControlMessage } from "@shoal/core/wire/messages";
import { listenTo } from "./stream-reader.ts";

export interface ControlListener {
  message(message: ControlMessage): void;
  ended(error: unknown): void;
}

export class ControlStream {
  readonly #stream: Stream;
  readonly #decoder: ControlFrameDecoder = new ControlFrameDecoder();
  readonly #first: PromiseWithResolvers<ControlMessage> = Promise.withResolvers();
  #hasFirst = false;
  /** Messages that came before there was a listener. */
  readonly #early: ControlMessage[] = [];
  #earlyBytes = 0;
  #listener: ControlListener | undefined;
  #end: { readonly error: unknown } | undefined;
  /** Said in this turn of the event loop; it leaves together, because each write costs both ends as much as ten messages. */
  #said: Uint8Array[] = [];

  constructor(stream: Stream) {
    this.#stream = stream;
    // Whoever doesn't wait for it hears of the end as a listener.
    this.#first.promise.catch(() => undefined);
    listenTo(stream, {
      portion: (bytes) => this.#read(bytes),
      ended: (error) => this.#ended(error),
    });
  }

  /** The first message; rejects when the stream ends before. */
  first(): Promise<ControlMessage> {
    return this.#first.promise;
  }

  /** Everything after the first message goes to the listener from now on. */
  listen(listener: ControlListener): void {
    this.#listener = listener;
    for (const message of this.#early.splice(0)) listener.message(message);
    if (this.#end !== undefined) listener.ended(this.#end.error);
  }

  /** Never throws: a stream that can't take the message ends, and its listener hears of that. */
  send(message: ControlMessage): void {
    try {
      this.#said.push(encodeControlFrame(encodeMessage(message)));
      if (this.#said.length === 1) queueMicrotask(() => this.#flush());
    } catch (error) {
      this.abort(error);
    }
  }

  #flush(): void {
    const [first, ...others] = this.#said.splice(0);
    if (first === undefined) return;
    try {
      this.#stream.send(others.length === 0 ? first : Buffer.concat([first, ...others]));
      if (this.#stream.writeBufferLength > controlQueueBytesMax) {
        throw remoteError("message_invalid", "the peer doesn't read its control stream");
      }
    } catch (error) {
      this.abort(error);
    }
  }

  abort(reason: unknown): void {
    this.#stream.abort(reason instanceof Error ? reason : new Error(String(reason)));
  }

  #read(bytes: Uint8Array): void {
    this.#decoder.push(bytes);
    for (let frame = this.#decoder.next(); frame !== undefined; frame = this.#decoder.next()) {
      this.#deliver(decodeMessage(frame), frame.length);
    }
  }

  #deliver(message: ControlMessage, bytes: Bytes): void {
    if (!this.#hasFirst) {
      this.#hasFirst = true;
      this.#first.resolve(message);
    } else if (this.#listener !== undefined) {
      this.#listener.message(message);
    } else {
      this.#earlyBytes += bytes;
      if (this.#earlyBytes > controlQueueBytesMax) {
        throw remoteError("message_invalid", "too much is said before the link is open");
      }
      this.#early.push(message);
    }
  }

  #ended(error: unknown): void {
    this.#end = { error };
    this.#first.reject(error ?? new Error("the control stream ended"));
    this.abort(error ?? new Error("the control stream ended"));
    this.#listener?.ended(error);
  }
}
