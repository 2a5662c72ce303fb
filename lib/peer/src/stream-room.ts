// Backpressure of a libp2p stream: waiting until what was sent has left, or nearly. The stream's own
// `onDrain` isn't used: once it has resolved, it resolves at once for ever (libp2p 3.3).
import type { Stream } from "@libp2p/interface";
import { ShoalError } from "@shoal/core/error";
import type { Bytes, Millis } from "@shoal/core/units";

/** Resolves when at most `bytesMax` wait to be sent. Rejects when the stream ends or time is over. */
export async function roomIn(stream: Stream, bytesMax: Bytes, timeoutMs: Millis): Promise<void> {
  if (stream.writeBufferLength <= bytesMax) return;
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const look = (): void => {
    // The stream goes on sending in a microtask that follows the event.
    queueMicrotask(() => {
      if (stream.writeBufferLength <= bytesMax) resolve(undefined);
    });
  };
  const fail = (): void => reject(tooLate("the stream ended"));
  const timer = setTimeout(() => reject(tooLate("the peer reads too slowly")), timeoutMs);
  stream.addEventListener("drain", look);
  stream.addEventListener("idle", look);
  stream.addEventListener("close", fail);
  try {
    if (stream.status !== "open") fail();
    await promise;
  } finally {
    clearTimeout(timer);
    stream.removeEventListener("drain", look);
    stream.removeEventListener("idle", look);
    stream.removeEventListener("close", fail);
  }
}

function tooLate(message: string): ShoalError {
  return new ShoalError("connection_failed", message, { blame: "environment", retryable: true });
}
