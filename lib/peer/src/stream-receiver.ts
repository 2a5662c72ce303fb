// Chunks over a libp2p stream (PROTOCOL.md 6.2), the receiving side: the peer opened it.
import type { Stream } from "@libp2p/interface";
import { DataFrameDecoder } from "@shoal/core/wire/data-frames";
import type { LaneListener } from "./chunk-lane.ts";
import { listenTo } from "./stream-reader.ts";

export class StreamReceiver {
  readonly #stream: Stream;
  readonly #listener: Omit<LaneListener, "phase">;
  readonly #decoder: DataFrameDecoder;

  constructor(stream: Stream, listener: Omit<LaneListener, "phase">) {
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
