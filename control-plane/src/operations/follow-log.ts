// A build's log as server-sent events: each event's id is where to read on, so that a reader that comes
// again with `Last-Event-ID` misses nothing and sees nothing twice.
import { wholeTextBytes } from "@shoal/core/build/whole-text";
import { ShoalError } from "@shoal/core/error";
import { logStreamAliveMs, logStreamMsMax, logStreamsMax } from "@shoal/core/limits";
import { findBuildState } from "../db/builds.ts";
import type { Wakeups } from "../db/wakeups.ts";
import { notFound } from "./not-found.ts";
import { type LogReadDeps, type LogSlice, readLog } from "./read-log.ts";

export interface FollowDeps extends LogReadDeps {
  readonly wakeups: Wakeups;
  readonly streams: LogStreams;
}

/** How many streams this process has open. */
export class LogStreams {
  #open = 0;

  /** Throws `too_many_streams`. Call what it returns once, at the stream's end. */
  enter(): () => void {
    if (this.#open >= logStreamsMax) {
      throw new ShoalError(
        "too_many_streams",
        `${logStreamsMax} logs are being followed already.`,
        {
          blame: "environment",
          retryable: true,
          hint: "Come again later, or read the log with GET /v1/builds/:id/log.",
        },
      );
    }
    this.#open += 1;
    return () => {
      this.#open -= 1;
    };
  }
}

/** The body of an event stream, from `offset` on. Throws `not_found` and `too_many_streams`. */
export async function followLog(
  deps: FollowDeps,
  id: number,
  offset: number,
  caller: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  if ((await findBuildState(deps.database, id)) === null) throw notFound("build", id);
  const leave = deps.streams.enter();
  const gone = new AbortController();
  const signal = AbortSignal.any([caller, gone.signal, AbortSignal.timeout(logStreamMsMax)]);
  const events = eventsOf(deps, id, offset, signal);
  const encoder = new TextEncoder();
  let left = false;
  const end = (): void => {
    if (!left) leave();
    left = true;
  };
  return new ReadableStream<Uint8Array>(
    {
      // Asked for one event at a time: a slow reader holds up nothing but its own stream.
      pull: async (controller) => {
        try {
          const { done, value } = await events.next();
          if (value !== undefined) controller.enqueue(encoder.encode(value));
          if (done !== true) return;
          end();
          controller.close();
        } catch (error) {
          end();
          controller.error(error);
        }
      },
      cancel: () => {
        gone.abort();
        end();
      },
    },
    { highWaterMark: 0 },
  );
}

async function* eventsOf(
  deps: FollowDeps,
  id: number,
  offset: number,
  signal: AbortSignal,
): AsyncGenerator<string, undefined> {
  // At once, so that the reader knows that it is connected, and how long to wait before it comes again.
  yield "retry: 1000\n\n";
  let at = offset;
  while (!signal.aborted) {
    const slice = await readText(deps, id, at, signal);
    const whole = slice.ended ? slice.bytes.length : wholeTextBytes(slice.bytes);
    if (whole > 0) {
      const text = new TextDecoder().decode(slice.bytes.subarray(0, whole));
      const data = JSON.stringify({ offset: at, text });
      at += whole;
      yield `id: ${at}\nevent: log\ndata: ${data}\n\n`;
    } else if (slice.ended) {
      const state = await findBuildState(deps.database, id);
      yield `id: ${at}\nevent: end\ndata: ${JSON.stringify({ state })}\n\n`;
      return undefined;
    } else {
      yield ": alive\n\n";
    }
  }
  return undefined;
}

/**
 * What there is from an offset on. When that is no more than the beginning of a character, at the end of
 * a segment or of what has come so far, the rest is read or waited for as well.
 */
async function readText(
  deps: FollowDeps,
  id: number,
  offset: number,
  signal: AbortSignal,
): Promise<LogSlice> {
  const waitMs = logStreamAliveMs;
  const slice = await readLog(deps, id, { offset, waitMs }, signal);
  if (slice.bytes.length === 0 || wholeTextBytes(slice.bytes) > 0) return slice;
  const rest = await readLog(deps, id, { offset: slice.nextOffset, waitMs }, signal);
  return { ...rest, bytes: Buffer.concat([slice.bytes, rest.bytes]) };
}
