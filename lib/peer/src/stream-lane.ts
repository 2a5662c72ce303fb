// Chunks over a libp2p stream (PROTOCOL.md 6.2), the sending side. The stream is opened when there is
// something to send on it, which is seldom: bulk sockets carry nearly everything.
import type { Stream } from "@libp2p/interface";
import { remoteError } from "@shoal/core/error";
import {
  chunkSendMsMax,
  controlQueueBytesMax,
  laneQueueBytesMax,
  streamRunBytesMax,
} from "@shoal/core/limits";
import { dataHeadBytes, encodeDataEnd } from "@shoal/core/wire/data-frames";
import type { ChunkLane } from "./chunk-lane.ts";
import { roomIn } from "./stream-room.ts";

export interface StreamLaneDeps {
  open(): Promise<Stream>;
  /** It can't be opened, or the peer doesn't read it. Comes once, unless it was aborted. */
  failed(error: unknown): void;
}

export class StreamLane implements ChunkLane {
  readonly runBytesMax: number = streamRunBytesMax;
  readonly #deps: StreamLaneDeps;
  #stream: Promise<Stream> | undefined;
  #isOver = false;

  constructor(deps: StreamLaneDeps) {
    this.#deps = deps;
  }

  /** Fresh memory: a stream doesn't tell when it has read what it was given. */
  frame(runBytes: number): Uint8Array {
    return new Uint8Array(dataHeadBytes + runBytes);
  }

  async send(frame: Uint8Array): Promise<void> {
    const stream = await this.#opened();
    stream.send(frame);
    await roomIn(stream, laneQueueBytesMax, chunkSendMsMax);
  }

  end(request: number): void {
    if (!this.#isOver) void this.#end(request);
  }

  abort(reason: unknown): void {
    this.#isOver = true;
    const error = reason instanceof Error ? reason : new Error(String(reason));
    this.#stream?.then(
      (stream) => stream.abort(error),
      () => undefined,
    );
  }

  async #end(request: number): Promise<void> {
    try {
      const stream = await this.#opened();
      stream.send(encodeDataEnd(request));
      if (stream.writeBufferLength > controlQueueBytesMax) {
        throw remoteError("message_invalid", "the peer doesn't read its data stream");
      }
    } catch (error) {
      if (this.#isOver) return;
      this.abort(error);
      this.#deps.failed(error);
    }
  }

  /** In the order of the calls: whoever calls later goes on later. */
  async #opened(): Promise<Stream> {
    this.#stream ??= this.#deps.open();
    const stream = await this.#stream;
    if (this.#isOver) throw remoteError("peer_refused", "the link is closed");
    return stream;
  }
}
