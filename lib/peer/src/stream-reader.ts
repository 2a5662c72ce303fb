// Listening to a libp2p stream: every portion goes to one function, and whatever that throws, or the
// stream ends with, goes to another, once. An exception in a listener of a libp2p stream would end the
// process.
import type { Stream } from "@libp2p/interface";

export interface StreamListener {
  portion(bytes: Uint8Array): void;
  /** The stream can't be used any more; `error` says why, when somebody broke a rule. */
  ended(error: unknown): void;
}

export function listenTo(stream: Stream, listener: StreamListener): void {
  let isOver = false;
  const end = (error: unknown): void => {
    if (isOver) return;
    isOver = true;
    listener.ended(error);
  };
  stream.addEventListener("message", ({ data }) => {
    if (isOver) return;
    try {
      for (const part of data instanceof Uint8Array ? [data] : data) listener.portion(part);
    } catch (error) {
      end(error);
    }
  });
  stream.addEventListener("close", ({ error }) => end(error));
  stream.addEventListener("remoteCloseWrite", () => end(undefined));
  if (stream.status !== "open") queueMicrotask(() => end(undefined));
}
