// Chunks over a libp2p stream (PROTOCOL.md 6.2), both ways.
import type { Stream } from "@libp2p/interface";
import { remoteError } from "@shoal/core/error";
import {
  chunkSendMsMax,
  controlQueueBytesMax,
  laneQueueBytesMax,
  streamRunBytesMax,
} from "@shoal/core/limits";
import { DataFrameDecoder, dataHeadBytes, encodeDataEnd } from "@shoal/core/wire/data-frames";
import type { ChunkLane, LaneListener } from "./chunk-lane.ts";
import { listenTo } from "./stream-reader.ts";
import { roomIn } from "./stream-room.ts";

export class StreamLane implements ChunkLane {
  readonly runBytesMax: number = streamRunBytesMax;
  readonly #stream: Stream;
  readonly #listener: LaneListener;
  readonly #decoder: DataFrameDecoder;

  constructor(stream: Stream, listener: LaneListener) {
    this.#stream = stream;
    this.#listener = listener;
    this.#decoder = new DataFrameDecoder((head) => listener.expects(head));
    listenTo(stream, {
      portion: (bytes) => {
        this.#read(bytes);
        this.#rest(bytes.length);
      },
      ended: (error) => {
        this.abort(error ?? new Error("the data stream ended"));
        listener.ended(error);
      },
    });
  }

  /** Fresh memory: a stream doesn't tell when it has read what it was given. */
  frame(runBytes: number): Uint8Array {
    return new Uint8Array(dataHeadBytes + runBytes);
  }

  async send(frame: Uint8Array): Promise<void> {
    this.#stream.send(frame);
    await roomIn(this.#stream, laneQueueBytesMax, chunkSendMsMax);
  }

  end(request: number): void {
    try {
      this.#stream.send(encodeDataEnd(request));
      if (this.#stream.writeBufferLength > controlQueueBytesMax) {
        throw remoteError("message_invalid", "the peer doesn't read its data stream");
      }
    } catch (error) {
      this.abort(error);
    }
  }

  abort(reason: unknown): void {
    this.#stream.abort(reason instanceof Error ? reason : new Error(String(reason)));
  }

  /** Stops reading while bytes come faster than they may. */
  #rest(count: number): void {
    const restMs = this.#listener.pauseMs(count);
    if (this.#stream.status !== "open") return;
    if (restMs > 0) {
      this.#stream.pause();
      setTimeout(() => this.#rest(0), restMs);
    } else if (count === 0) {
      this.#stream.resume();
    }
  }

  #read(portion: Uint8Array): void {
    this.#decoder.push(portion);
    for (let frame = this.#decoder.next(); frame !== undefined; frame = this.#decoder.next()) {
      const { request, chunk, bytes } = frame;
      if (bytes.length === 0) this.#listener.requestEnded(request);
      else this.#listener.run(request, chunk, bytes, () => undefined);
    }
  }
}
