// The sending end of a bulk socket: frames out, one write at a time and not too long, so that the runtime
// neither copies them together nor keeps much of them encrypted. Frames are as long as this socket sends
// in a moment: where it is slow, the other end should see that something comes. Reads nothing: chunks the
// other way have a socket of their own.
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { ShoalError } from "@shoal/core/error";
import {
  bulkQueueBytesMax,
  bulkWriteBytesMax,
  chunkBytesMax,
  chunkSendMsMax,
  controlQueueBytesMax,
  runBytesMax,
  runMsMax,
} from "@shoal/core/limits";
import type { Bytes, Millis } from "@shoal/core/units";
import { dataHeadBytes, encodeDataEnd } from "@shoal/core/wire/data-frames";
import type { ChunkLane } from "../chunk-lane.ts";
import type { BufferPool } from "./buffer-pool.ts";

/** Frames, of which one waits for room, and ends of requests, for which nobody waits. */
const queueBytesMax: Bytes = bulkQueueBytesMax + runBytesMax + controlQueueBytesMax;

export class BulkSender implements ChunkLane {
  readonly #socket: Socket;
  readonly #pool: BufferPool;
  readonly #ended: (error: unknown) => void;
  readonly #writeBytesMax: Bytes;
  readonly #queue: Uint8Array[] = [];
  /** Of the first frame in the queue. */
  #writtenBytes: Bytes = 0;
  #beganMs: Millis = 0;
  #runBytesMax: Bytes = chunkBytesMax;
  /** In the queue and being written. */
  #queuedBytes: Bytes = 0;
  #isWriting = false;
  #waiting: PromiseWithResolvers<void>[] = [];
  #failure: ShoalError | undefined;

  /** `ended` is called once, when nothing can be sent any more. */
  constructor(socket: Socket, pool: BufferPool, ended: (error: unknown) => void) {
    this.#socket = socket;
    this.#pool = pool;
    this.#ended = ended;
    this.#writeBytesMax = socket instanceof TLSSocket ? bulkWriteBytesMax : Infinity;
    socket.on("error", (error) => this.abort(error));
    socket.on("close", () => this.abort(new Error("the bulk socket was closed")));
    socket.on("data", () => this.abort(new Error("a bulk socket's other end says nothing")));
  }

  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  get runBytesMax(): Bytes {
    return this.#runBytesMax;
  }

  frame(runBytes: Bytes): Uint8Array {
    return this.#pool.take(runBytes, { headBytes: dataHeadBytes });
  }

  async send(frame: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    this.#push(frame);
    if (this.#queuedBytes <= bulkQueueBytesMax) return;
    const room = Promise.withResolvers<void>();
    this.#waiting.push(room);
    await room.promise;
  }

  end(request: number): void {
    if (this.#failure !== undefined) return;
    this.#push(encodeDataEnd(request));
    if (this.#queuedBytes > queueBytesMax) this.abort(new Error("the peer doesn't read"));
  }

  abort(reason: unknown): void {
    if (this.#failure !== undefined) return;
    const message = reason instanceof Error ? reason.message : String(reason);
    this.#failure = new ShoalError("connection_failed", message, {
      blame: "environment",
      retryable: true,
      cause: reason,
    });
    this.#socket.destroy();
    this.#queue.length = 0;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
    this.#ended(this.#failure);
  }

  #push(frame: Uint8Array): void {
    this.#queue.push(frame);
    this.#queuedBytes += frame.length;
    this.#pump();
  }

  #pump(): void {
    const frame = this.#isWriting ? undefined : this.#queue[0];
    if (frame === undefined) return;
    this.#isWriting = true;
    if (this.#writtenBytes === 0) this.#beganMs = performance.now();
    const part = frame.subarray(this.#writtenBytes, this.#writtenBytes + this.#writeBytesMax);
    const timer = setTimeout(
      () => this.abort(new Error("the peer reads too slowly")),
      chunkSendMsMax,
    );
    this.#socket.write(part, (error) => {
      clearTimeout(timer);
      this.#isWriting = false;
      this.#queuedBytes -= part.length;
      // After an error the runtime may still look at the frame: it is left to the collector.
      if (error !== null && error !== undefined) {
        this.abort(error);
        return;
      }
      this.#wrote(frame, part.length);
      this.#pump();
      if (this.#queuedBytes > bulkQueueBytesMax) return;
      for (const { resolve } of this.#waiting.splice(0)) resolve();
    });
  }

  #wrote(frame: Uint8Array, bytes: Bytes): void {
    this.#writtenBytes += bytes;
    if (this.#writtenBytes < frame.length) return;
    this.#writtenBytes = 0;
    this.#queue.shift();
    const rate = frame.length / Math.max(0.001, performance.now() - this.#beganMs);
    const aim = Math.min(rate * runMsMax, 2 * this.#runBytesMax, runBytesMax);
    this.#runBytesMax = Math.max(chunkBytesMax, aim);
    this.#pool.give(frame);
  }
}
