// Bytes on their way: each host has one way up and one way down, each of a rate; the core of the network
// is never full. A host's uploads take turns, a segment each, and an upload sends its next segment
// when the last one has come through the receiver's way down. So a way is never idle while something
// could use it, and who shares it gets about the same: what TCP flows come to over some round trips.
//
// Doesn't model: loss, slow start, and who is in the way of whom inside the network.
import type { Bytes, ChunkIndex, Millis } from "@shoal/core/units";
import type { EventQueue } from "./event-queue.ts";

/** An upload that was ordered and hasn't ended. */
export interface Flow {
  readonly to: number;
  readonly link: number;
  readonly request: number;
  chunk: ChunkIndex;
  readonly endChunk: ChunkIndex;
  /** Of the current chunk, not yet sent. */
  leftBytes: Bytes;
  /** When its next segment may leave. */
  readyMs: Millis;
  isStopping: boolean;
}

export interface NetworkDeps {
  readonly queue: EventQueue;
  readonly chunkBytes: (chunk: ChunkIndex) => Bytes;
  readonly latencyMs: (from: number, to: number) => Millis;
  /** Tells the sender that an upload is over; it may order the next. */
  readonly ended: (host: number, flow: Flow, isStopped: boolean) => void;
}

export interface NetworkEvents {
  /** Fields: host, generation. */
  readonly segment: number;
  /** Fields: receiver, link, request, chunk. */
  readonly chunk: number;
}

interface Way {
  readonly flows: Flow[];
  readonly upRate: number;
  readonly downRate: number;
  /** All that was sent to the host so far has come through then. */
  downFreeMs: Millis;
  current: Flow | undefined;
  currentBytes: Bytes;
  /** When the current segment comes out of the receiver's way down. */
  currentOutMs: Millis;
  /** Rises with each arming, so that an event that was overtaken is known. */
  generation: number;
}

export class Network {
  readonly #deps: NetworkDeps;
  readonly #events: NetworkEvents;
  readonly #segmentBytes: Bytes;
  readonly #ways: Way[] = [];

  constructor(deps: NetworkDeps, events: NetworkEvents, segmentBytes: Bytes) {
    this.#deps = deps;
    this.#events = events;
    this.#segmentBytes = segmentBytes;
  }

  /** Hosts are numbered in the order they are added. */
  addHost(upRate: number, downRate: number): void {
    const [current, currentBytes, currentOutMs, generation] = [undefined, 0, 0, 0];
    const state = { downFreeMs: 0, current, currentBytes, currentOutMs, generation };
    this.#ways.push({ flows: [], upRate, downRate, ...state });
  }

  start(
    from: number,
    to: number,
    link: number,
    request: number,
    chunk: ChunkIndex,
    count: number,
    now: Millis,
  ): void {
    const way = this.#ways[from] as Way;
    const leftBytes = this.#deps.chunkBytes(chunk);
    const state = { chunk, endChunk: chunk + count, leftBytes, readyMs: now, isStopping: false };
    const flow: Flow = { to, link, request, ...state };
    way.flows.push(flow);
    if (way.current === undefined) this.#send(way, from, now);
  }

  /** The upload ends before its next chunk. */
  stop(from: number, link: number, request: number): void {
    for (const flow of (this.#ways[from] as Way).flows) {
      if (flow.link === link && flow.request === request) flow.isStopping = true;
    }
  }

  /** Forgets a link's uploads; nothing is said to the sender. */
  cut(from: number, link: number): void {
    const { flows } = this.#ways[from] as Way;
    for (let index = flows.length - 1; index >= 0; index -= 1) {
      if ((flows[index] as Flow).link === link) flows.splice(index, 1);
    }
  }

  /** A host died: nothing of what waits is sent. */
  cutAll(from: number): void {
    (this.#ways[from] as Way).flows.length = 0;
  }

  /** When something that arrives now, and takes no room, comes out behind what came before. */
  arrival(to: number, at: Millis): Millis {
    return Math.max(at, (this.#ways[to] as Way).downFreeMs);
  }

  /** The event of a segment that has left, or of an upload that may go on. */
  onSegment(from: number, generation: number, now: Millis): void {
    const way = this.#ways[from] as Way;
    if (generation !== way.generation) return;
    const flow = way.current;
    if (flow !== undefined) this.#finish(way, flow, from);
    way.current = undefined;
    this.#send(way, from, now);
  }

  #finish(way: Way, flow: Flow, from: number): void {
    const { queue, ended, chunkBytes } = this.#deps;
    const isOver = way.currentBytes === 0;
    flow.leftBytes -= way.currentBytes;
    if (flow.leftBytes > 0 && !isOver) return;
    const place = way.flows.indexOf(flow);
    if (!isOver) {
      // Of a link that was cut meanwhile, too: it arrives, and nobody is there to take it.
      queue.add(way.currentOutMs, this.#events.chunk, flow.to, flow.link, flow.request, flow.chunk);
      flow.chunk += 1;
    }
    if (place < 0) return;
    if (flow.chunk < flow.endChunk && !flow.isStopping) {
      flow.leftBytes = chunkBytes(flow.chunk);
      return;
    }
    toEnd(way.flows, place);
    way.flows.pop();
    ended(from, flow, flow.chunk < flow.endChunk);
  }

  /** Sends a segment of the upload that has waited longest for its turn. */
  #send(way: Way, from: number, now: Millis): void {
    const { queue, latencyMs, chunkBytes } = this.#deps;
    if (way.current !== undefined) return;
    let soonestMs = Infinity;
    for (let index = 0; index < way.flows.length; index += 1) {
      const flow = way.flows[index] as Flow;
      if (flow.readyMs > now) {
        soonestMs = Math.min(soonestMs, flow.readyMs);
        continue;
      }
      toEnd(way.flows, index);
      const isOver = flow.isStopping && flow.leftBytes === chunkBytes(flow.chunk);
      const bytes = isOver ? 0 : Math.min(flow.leftBytes, this.#segmentBytes);
      const leftMs = now + bytes / way.upRate;
      const wireMs = latencyMs(from, flow.to);
      const to = this.#ways[flow.to] as Way;
      to.downFreeMs = Math.max(to.downFreeMs, now + wireMs) + bytes / to.downRate;
      way.current = flow;
      way.currentBytes = bytes;
      way.currentOutMs = Math.max(to.downFreeMs, leftMs + wireMs);
      flow.readyMs = way.currentOutMs - wireMs;
      way.generation += 1;
      queue.add(leftMs, this.#events.segment, from, way.generation);
      return;
    }
    way.generation += 1;
    if (soonestMs < Infinity) queue.add(soonestMs, this.#events.segment, from, way.generation);
  }
}

/** To the end of the line, the others keeping their order; a splice would make an array each time. */
function toEnd(flows: Flow[], place: number): void {
  const flow = flows[place] as Flow;
  const last = flows.length - 1;
  for (let at = place; at < last; at += 1) flows[at] = flows[at + 1] as Flow;
  flows[last] = flow;
}
