// Runs of chunks between their arrival and the scheduler's orders about each chunk. What it accepts of
// one run is handed on together; memory goes back when nothing of a run is needed any more.
import { assert } from "@shoal/core/error";
import type { AcceptOrder, ArtifactSlot, DiscardOrder, LinkId } from "@shoal/core/swarm/events";
import type { ReceivedRun } from "./peer-link.ts";

interface Arrival {
  readonly run: ReceivedRun;
  /** Where each chunk begins in the bytes is for the storage to know; here they are only counted. */
  leftCount: number;
}

/** Neighbouring accepted chunks of one run. */
export interface Batch {
  readonly link: LinkId;
  readonly artifact: ArtifactSlot;
  readonly firstChunk: number;
  readonly count: number;
  readonly bytes: Uint8Array;
  /** Its bytes aren't looked at any more. */
  readonly settle: () => void;
}

interface Accepted {
  readonly arrival: Arrival;
  readonly link: LinkId;
  readonly artifact: ArtifactSlot;
  readonly firstChunk: number;
  count: number;
}

/** Chunk indexes are below this, request numbers below 2^32: together a safe integer. */
const chunksPerRequestKey = 2 ** 21;

export class Arrivals {
  /** Chunks without an order yet, by link and then by request and chunk. */
  readonly #waiting: Map<LinkId, Map<number, Arrival>> = new Map();
  #accepted: Accepted[] = [];
  /** The length of each chunk of an artifact. */
  readonly #chunkBytes: (artifact: ArtifactSlot) => Uint32Array | undefined;

  constructor(chunkBytes: (artifact: ArtifactSlot) => Uint32Array | undefined) {
    this.#chunkBytes = chunkBytes;
  }

  add(link: LinkId, run: ReceivedRun): void {
    const arrival: Arrival = { run, leftCount: run.count };
    let waiting = this.#waiting.get(link);
    if (waiting === undefined) {
      waiting = new Map();
      this.#waiting.set(link, waiting);
    }
    for (let chunk = run.firstChunk; chunk < run.firstChunk + run.count; chunk += 1) {
      waiting.set(keyOf(run.request, chunk), arrival);
    }
  }

  /** The link is gone: nothing is ordered about its chunks any more. */
  forget(link: LinkId): void {
    this.#waiting.delete(link);
  }

  discard({ link, request, chunk }: DiscardOrder): void {
    const arrival = this.#take(link, request, chunk);
    if (arrival !== undefined) settle(arrival, 1);
  }

  accept({ link, request, chunk, artifact }: AcceptOrder): void {
    const arrival = this.#take(link, request, chunk);
    if (arrival === undefined) return;
    const last = this.#accepted.at(-1);
    if (last?.arrival === arrival && last.firstChunk + last.count === chunk) last.count += 1;
    else this.#accepted.push({ arrival, link, artifact, firstChunk: chunk, count: 1 });
  }

  /** What was accepted since the last time. */
  takeAccepted(): readonly Batch[] {
    if (this.#accepted.length === 0) return [];
    const accepted = this.#accepted;
    this.#accepted = [];
    return accepted.map(({ arrival, link, artifact, firstChunk, count }) => {
      const { run } = arrival;
      const chunkBytes = this.#chunkBytes(artifact);
      const start = bytesBetween(chunkBytes, run.firstChunk, firstChunk);
      const end = start + bytesBetween(chunkBytes, firstChunk, firstChunk + count);
      const bytes = run.bytes.subarray(start, end);
      return { link, artifact, firstChunk, count, bytes, settle: () => settle(arrival, count) };
    });
  }

  #take(link: LinkId, request: number, chunk: number): Arrival | undefined {
    const waiting = this.#waiting.get(link);
    const arrival = waiting?.get(keyOf(request, chunk));
    waiting?.delete(keyOf(request, chunk));
    return arrival;
  }
}

function settle(arrival: Arrival, count: number): void {
  arrival.leftCount -= count;
  assert(arrival.leftCount >= 0, "a chunk is settled once");
  if (arrival.leftCount === 0) arrival.run.release();
}

function bytesBetween(chunkBytes: Uint32Array | undefined, from: number, to: number): number {
  let bytes = 0;
  for (let chunk = from; chunk < to; chunk += 1) bytes += chunkBytes?.[chunk] ?? 0;
  return bytes;
}

function keyOf(request: number, chunk: number): number {
  return request * chunksPerRequestKey + chunk;
}
