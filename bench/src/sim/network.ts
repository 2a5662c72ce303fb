// Bytes on their way: each host has one way up and one way down, each of a rate; the core of the network
// is never full. A host's uploads take turns, a segment each, and an upload sends its next segment
// when the last one has come through the receiver's way down. So a way is never idle while something
// could use it, and who shares it gets about the same: what TCP flows come to over some round trips.
//
// Doesn't model: loss, slow start, and who is in the way of whom inside the network.
import { assert } from "@shoal/core/error";
import { uploadSlotsMax } from "@shoal/core/limits";
import { kibibyte, type Bytes, type ChunkIndex, type Millis } from "@shoal/core/units";
import type { EventQueue } from "./event-queue.ts";
import { AskedBytes } from "./lane-box.ts";
import type { Mail } from "./mail.ts";

export interface NetworkDeps {
  readonly queue: EventQueue;
  readonly mail: Pick<Mail, "boxFor" | "post">;
  readonly chunkBytes: (chunk: ChunkIndex) => Bytes;
  readonly latencyMs: (from: number, to: number) => Millis;
  /** Tells the sender that an upload is over; it may order the next. */
  readonly ended: (host: number, link: number, request: number, isStopped: boolean) => void;
}

export interface NetworkEvents {
  /** Fields: host, generation. */
  readonly segment: number;
  /** Fields: receiver, link, request, chunk. */
  readonly chunk: number;
}

/** Largest number of segments that a chunk is sent in, and the smallest segment. */
const segmentsPerChunk = 2;
const segmentBytesMin: Bytes = 64 * kibibyte;

export function segmentBytesOf(chunkBytes: Bytes): Bytes {
  return Math.max(segmentBytesMin, chunkBytes / segmentsPerChunk);
}

/** Most uploads of a host under way: its slots, and those of links that were cut in the middle of a segment. */
const flowsMax = uploadSlotsMax + 4;

// Numbers of a host's ways.
const waySize = 8;
const upRateAt = 0;
const downRateAt = 1;
/** All that was sent to the host so far has come through then. */
const downFreeAt = 2;
/** The flow whose segment is being sent, and how many bytes; -1 when none is. */
const currentAt = 3;
const currentBytesAt = 4;
/** When the current segment comes out of the receiver's way down. */
const currentOutAt = 5;
/** Rises with each arming, so that an event that was overtaken is known. */
const generationAt = 6;
const lineLengthAt = 7;

// Numbers of an upload that was ordered and hasn't ended.
const flowSize = 8;
const toAt = 0;
const linkAt = 1;
const requestAt = 2;
const chunkAt = 3;
const endChunkAt = 4;
/** Of the current chunk, not yet sent. */
const leftBytesAt = 5;
/** When its next segment may leave. */
const readyAt = 6;
const stateAt = 7;

const [free, going, stopping] = [0, 1, 2];
/** Of a link that was cut: forgotten once its segment is sent. */
const cut = 3;

export class Network {
  readonly #deps: NetworkDeps;
  readonly #events: NetworkEvents;
  readonly #segmentBytes: Bytes;
  /** Of segments whose way down is another lane's. */
  readonly #asked = new AskedBytes();
  #hosts = 0;
  #ways: Float64Array = new Float64Array(64 * waySize);
  #flows: Float64Array = new Float64Array(64 * flowsMax * flowSize);
  /** For each host, its flows in the order of their turns. */
  #lines: Uint8Array = new Uint8Array(64 * flowsMax);

  constructor(deps: NetworkDeps, events: NetworkEvents, chunkBytes: Bytes) {
    this.#deps = deps;
    this.#events = events;
    this.#segmentBytes = segmentBytesOf(chunkBytes);
  }

  /** Hosts are numbered in the order they are added. */
  addHost(upRate: number, downRate: number): void {
    if ((this.#hosts + 1) * waySize > this.#ways.length) this.#grow();
    const way = this.#hosts * waySize;
    this.#ways[way + upRateAt] = upRate;
    this.#ways[way + downRateAt] = downRate;
    this.#ways[way + currentAt] = -1;
    this.#hosts += 1;
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
    const flows = this.#flows;
    let flow = from * flowsMax;
    while (flows[flow * flowSize + stateAt] !== free) flow += 1;
    assert(flow < (from + 1) * flowsMax, "a host has no more uploads than slots");
    const at = flow * flowSize;
    flows[at + toAt] = to;
    flows[at + linkAt] = link;
    flows[at + requestAt] = request;
    flows[at + chunkAt] = chunk;
    flows[at + endChunkAt] = chunk + count;
    flows[at + leftBytesAt] = this.#deps.chunkBytes(chunk);
    flows[at + readyAt] = now;
    flows[at + stateAt] = going;
    const way = from * waySize;
    const length = this.#ways[way + lineLengthAt] as number;
    this.#lines[from * flowsMax + length] = flow - from * flowsMax;
    this.#ways[way + lineLengthAt] = length + 1;
    if (this.#ways[way + currentAt] === -1) this.#send(from, now);
  }

  /** The upload ends before its next chunk. */
  stop(from: number, link: number, request: number): void {
    const flows = this.#flows;
    this.#forEachInLine(from, (at) => {
      if (flows[at + linkAt] === link && flows[at + requestAt] === request) {
        flows[at + stateAt] = stopping;
      }
    });
  }

  /** Forgets a link's uploads; nothing is said to the sender. */
  cut(from: number, link: number): void {
    this.#forEachInLine(from, (at, place) => {
      if (this.#flows[at + linkAt] === link) this.#drop(from, at, place);
    });
  }

  /** A host died: nothing of what waits is sent. */
  cutAll(from: number): void {
    this.#forEachInLine(from, (at, place) => this.#drop(from, at, place));
  }

  /** When something that arrives now, and takes no room, comes out behind what came before. */
  arrival(to: number, at: Millis): Millis {
    return Math.max(at, this.#ways[to * waySize + downFreeAt] as number);
  }

  /** Takes bytes through a host's way down; answers when the last of them comes out. */
  passDown(to: number, beginsMs: Millis, bytes: Bytes, soonestMs: Millis): Millis {
    const ways = this.#ways;
    const way = to * waySize;
    const freeMs = Math.max(ways[way + downFreeAt] as number, beginsMs);
    const throughMs = freeMs + bytes / (ways[way + downRateAt] as number);
    ways[way + downFreeAt] = throughMs;
    return Math.max(throughMs, soonestMs);
  }

  /** Takes the answers to what was asked: for segments that are still being sent. */
  takeAnswers(): void {
    const { latencyMs } = this.#deps;
    this.#asked.takeAll((from, flow, outMs) => {
      const at = (from * flowsMax + flow) * flowSize;
      this.#ways[from * waySize + currentOutAt] = outMs;
      this.#flows[at + readyAt] = outMs - latencyMs(from, this.#flows[at + toAt] as number);
    });
  }

  /** The event of a segment that has left, or of an upload that may go on. */
  onSegment(from: number, generation: number, now: Millis): void {
    const way = from * waySize;
    if (generation !== this.#ways[way + generationAt]) return;
    const current = this.#ways[way + currentAt] as number;
    if (current !== -1) this.#finish(from, current);
    this.#ways[way + currentAt] = -1;
    this.#send(from, now);
  }

  #finish(from: number, current: number): void {
    const { mail, ended, chunkBytes } = this.#deps;
    const flows = this.#flows;
    const way = from * waySize;
    const at = (from * flowsMax + current) * flowSize;
    const sentBytes = this.#ways[way + currentBytesAt] as number;
    const isOver = sentBytes === 0;
    const isCut = flows[at + stateAt] === cut;
    if (isCut) flows[at + stateAt] = free;
    const leftBytes = (flows[at + leftBytesAt] as number) - sentBytes;
    flows[at + leftBytesAt] = leftBytes;
    if (leftBytes > 0 && !isOver) return;
    const [link, request] = [flows[at + linkAt] as number, flows[at + requestAt] as number];
    let chunk = flows[at + chunkAt] as number;
    if (!isOver) {
      // Of a link that was cut meanwhile, too: it arrives, and nobody is there to take it.
      const outMs = this.#ways[way + currentOutAt] as number;
      mail.post(outMs, this.#events.chunk, flows[at + toAt] as number, link, request, chunk);
      chunk += 1;
      flows[at + chunkAt] = chunk;
    }
    if (isCut) return;
    const isAll = chunk >= (flows[at + endChunkAt] as number);
    if (!isAll && flows[at + stateAt] !== stopping) {
      flows[at + leftBytesAt] = chunkBytes(chunk);
      return;
    }
    this.#leave(from, this.#placeOf(from, current));
    flows[at + stateAt] = free;
    ended(from, link, request, !isAll);
  }

  /** Sends a segment of the upload that has waited longest for its turn. */
  #send(from: number, now: Millis): void {
    const { queue, latencyMs, chunkBytes } = this.#deps;
    const [ways, flows, lines] = [this.#ways, this.#flows, this.#lines];
    const way = from * waySize;
    if (ways[way + currentAt] !== -1) return;
    const length = ways[way + lineLengthAt] as number;
    const generation = (ways[way + generationAt] as number) + 1;
    ways[way + generationAt] = generation;
    let soonestMs = Infinity;
    for (let place = 0; place < length; place += 1) {
      const flow = lines[from * flowsMax + place] as number;
      const at = (from * flowsMax + flow) * flowSize;
      const readyMs = flows[at + readyAt] as number;
      if (readyMs > now) {
        soonestMs = Math.min(soonestMs, readyMs);
        continue;
      }
      this.#toEnd(from, place);
      const leftBytes = flows[at + leftBytesAt] as number;
      const isStopping = flows[at + stateAt] === stopping;
      const isOver = isStopping && leftBytes === chunkBytes(flows[at + chunkAt] as number);
      const bytes = isOver ? 0 : Math.min(leftBytes, this.#segmentBytes);
      const leftMs = now + bytes / (ways[way + upRateAt] as number);
      const toHost = flows[at + toAt] as number;
      const wireMs = latencyMs(from, toHost);
      const outMs = this.#outMs(from, flow, toHost, now + wireMs, bytes, leftMs + wireMs);
      ways[way + currentAt] = flow;
      ways[way + currentBytesAt] = bytes;
      ways[way + currentOutAt] = outMs;
      flows[at + readyAt] = outMs - wireMs;
      queue.add(leftMs, this.#events.segment, from, generation);
      return;
    }
    if (soonestMs < Infinity) queue.add(soonestMs, this.#events.segment, from, generation);
  }

  /** When bytes come out of a receiver's way down: as soon as they can be there, while that isn't known. */
  #outMs(
    from: number,
    flow: number,
    to: number,
    beginsMs: Millis,
    bytes: Bytes,
    soonestMs: Millis,
  ): Millis {
    const box = this.#deps.mail.boxFor(to);
    if (box === undefined) return this.passDown(to, beginsMs, bytes, soonestMs);
    if (bytes > 0) this.#asked.add(from, flow, box, box.ask(to, beginsMs, bytes, soonestMs));
    return soonestMs;
  }

  /** Visits the flows of a host from the last in line to the first, with where they are. */
  #forEachInLine(from: number, visit: (at: number, place: number) => void): void {
    const length = this.#ways[from * waySize + lineLengthAt] as number;
    for (let place = length - 1; place >= 0; place -= 1) {
      const flow = this.#lines[from * flowsMax + place] as number;
      visit((from * flowsMax + flow) * flowSize, place);
    }
  }

  #drop(from: number, at: number, place: number): void {
    const isCurrent =
      this.#ways[from * waySize + currentAt] === this.#lines[from * flowsMax + place];
    this.#leave(from, place);
    this.#flows[at + stateAt] = isCurrent ? cut : free;
  }

  #placeOf(from: number, flow: number): number {
    let place = 0;
    while (this.#lines[from * flowsMax + place] !== flow) place += 1;
    return place;
  }

  #leave(from: number, place: number): void {
    this.#toEnd(from, place);
    const at = from * waySize + lineLengthAt;
    this.#ways[at] = (this.#ways[at] as number) - 1;
  }

  /** To the end of the line, the others keeping their order. */
  #toEnd(from: number, place: number): void {
    const lines = this.#lines;
    const begin = from * flowsMax;
    const last = begin + (this.#ways[from * waySize + lineLengthAt] as number) - 1;
    const flow = lines[begin + place] as number;
    for (let at = begin + place; at < last; at += 1) lines[at] = lines[at + 1] as number;
    lines[last] = flow;
  }

  #grow(): void {
    const [ways, flows, lines] = [this.#ways, this.#flows, this.#lines];
    this.#ways = new Float64Array(2 * ways.length);
    this.#ways.set(ways);
    this.#flows = new Float64Array(2 * flows.length);
    this.#flows.set(flows);
    this.#lines = new Uint8Array(2 * lines.length);
    this.#lines.set(lines);
  }
}
