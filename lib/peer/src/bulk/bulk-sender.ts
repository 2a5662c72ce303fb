// The sending end of a bulk socket: frames out, one write at a time, so that the runtime neither copies
// them together nor keeps more than one encrypted. Reads nothing: chunks the other way have a socket of
// their own.
import type { Socket } from "node:net";
import { ShoalError } from "@shoal/core/error";
import {
  bulkQueueBytesMax,
  chunkSendMsMax,
  controlQueueBytesMax,
  runBytesMax,
} from "@shoal/core/limits";
import type { Bytes } from "@shoal/core/units";
import { dataHeadBytes, encodeDataEnd } from "@shoal/core/wire/data-frames";
import type { ChunkLane } from "../chunk-lane.ts";
import type { BufferPool } from "./buffer-pool.ts";

export class BulkSender implements ChunkLane {
  readonly runBytesMax: Bytes = runBytesMax;
  readonly #socket: Socket;
  readonly #pool: BufferPool;
  readonly #ended: (error: unknown) => void;
  readonly #queue: Uint8Array[] = [];
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
    socket.on("error", (error) => this.abort(error));
    socket.on("close", () => this.abort(new Error("the bulk socket was closed")));
    socket.on("data", () => this.abort(new Error("a bulk socket's other end says nothing")));
  }

  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  frame(runBytes: Bytes): Uint8Array {
    return this.#pool.take(dataHeadBytes + runBytes);
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
    if (this.#queuedBytes > controlQueueBytesMax) this.abort(new Error("the peer doesn't read"));
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
    const frame = this.#isWriting ? undefined : this.#queue.shift();
    if (frame === undefined) return;
    this.#isWriting = true;
    const timer = setTimeout(
      () => this.abort(new Error("the peer reads too slowly")),
      chunkSendMsMax,
    );
    this.#socket.write(frame, (error) => {
      clearTimeout(timer);
      this.#isWriting = false;
      this.#queuedBytes -= frame.length;
      // After an error the runtime may still look at the frame: it is left to the collector.
      if (error !== null && error !== undefined) {
        this.abort(error);
        return;
      }
      this.#pool.give(frame);
      this.#pump();
      if (this.#queuedBytes > bulkQueueBytesMax) return;
      for (const { resolve } of this.#waiting.splice(0)) resolve();
    });
  }
}
