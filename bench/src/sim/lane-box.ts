// What one thread of a world has for another: events, what hosts say in lists, and questions about the ways down
// of the other's hosts. The writer fills it between two meetings, the reader empties it and answers between the
// next two (lanes.ts), so nothing in it needs a lock. Its memory is taken by the kernel as it is used.
import { assert } from "@shoal/core/error";
import { mebibyte, type Bytes, type Millis } from "@shoal/core/units";
import { EventRecords } from "./event-records.ts";

const countsBytes = 64;
const eventsBytes: Bytes = 64 * mebibyte;
const listsBytes: Bytes = 64 * mebibyte;
const arrivalsBytes: Bytes = 16 * mebibyte;

const eventsCountAt = 0;
const listBytesAt = 1;
const arrivalsCountAt = 2;

/** Doubles of an arrival: receiver, when its first byte is there, bytes, when its last could be; then the answer. */
const arrivalSize = 5;

export class LaneBox {
  readonly #counts: Int32Array;
  readonly records: EventRecords;
  readonly #lists: Uint8Array;
  readonly #arrivals: Float64Array;

  /** `memory` is one of `laneBoxMemory()`; both threads make a box of it. */
  constructor(memory: SharedArrayBuffer) {
    this.#counts = new Int32Array(memory, 0, countsBytes / 4);
    this.records = new EventRecords(memory, countsBytes, eventsBytes);
    this.#lists = new Uint8Array(memory, countsBytes + eventsBytes, listsBytes);
    this.#arrivals = new Float64Array(
      memory,
      countsBytes + eventsBytes + listsBytes,
      arrivalsBytes / 8,
    );
  }

  get eventsCount(): number {
    return this.#counts[eventsCountAt] as number;
  }

  get arrivalsCount(): number {
    return this.#counts[arrivalsCountAt] as number;
  }

  /** The number of the next event's record, for the writer to fill. */
  nextRecord(): number {
    const record = this.eventsCount;
    assert(record < this.records.capacity, "threads meet often enough for their events");
    this.#counts[eventsCountAt] = record + 1;
    return record;
  }

  /** Keeps bytes for an event; answers where they are. */
  keep(bytes: Uint8Array): number {
    const begin = this.#counts[listBytesAt] as number;
    assert(begin + bytes.length <= this.#lists.length, "threads meet often enough for their lists");
    this.#lists.set(bytes, begin);
    this.#counts[listBytesAt] = begin + bytes.length;
    return begin;
  }

  /** A copy of bytes that were kept. */
  kept(begin: number, length: number): Uint8Array {
    return this.#lists.slice(begin, begin + length);
  }

  /** Asks when bytes come out of a receiver's way down; answers the question's number. */
  ask(to: number, beginsMs: Millis, bytes: Bytes, soonestMs: Millis): number {
    const arrival = this.arrivalsCount;
    const at = arrival * arrivalSize;
    assert(at + arrivalSize <= this.#arrivals.length, "threads meet often enough for their bytes");
    this.#arrivals[at] = to;
    this.#arrivals[at + 1] = beginsMs;
    this.#arrivals[at + 2] = bytes;
    this.#arrivals[at + 3] = soonestMs;
    this.#counts[arrivalsCountAt] = arrival + 1;
    return arrival;
  }

  /** Answers all questions, in the order they were asked. */
  answer(outOf: (to: number, beginsMs: Millis, bytes: Bytes, soonestMs: Millis) => Millis): void {
    const arrivals = this.#arrivals;
    const end = this.arrivalsCount * arrivalSize;
    for (let at = 0; at < end; at += arrivalSize) {
      arrivals[at + 4] = outOf(
        arrivals[at] as number,
        arrivals[at + 1] as number,
        arrivals[at + 2] as number,
        arrivals[at + 3] as number,
      );
    }
  }

  answerOf(arrival: number): Millis {
    return this.#arrivals[arrival * arrivalSize + 4] as number;
  }

  /** Everything was read. */
  clear(): void {
    this.#counts.fill(0);
  }
}

export function laneBoxMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(countsBytes + eventsBytes + listsBytes + arrivalsBytes);
}

/** Whose segments the questions were about that a thread has asked since it last took answers. */
export class AskedBytes {
  #count = 0;
  readonly #boxes: LaneBox[] = [];
  /** Sender, flow and the question's number of each. */
  readonly #numbers: number[] = [];

  add(from: number, flow: number, box: LaneBox, question: number): void {
    const at = 3 * this.#count;
    this.#boxes[this.#count] = box;
    this.#numbers[at] = from;
    this.#numbers[at + 1] = flow;
    this.#numbers[at + 2] = question;
    this.#count += 1;
  }

  takeAll(take: (from: number, flow: number, outMs: Millis) => void): void {
    const numbers = this.#numbers;
    for (let asked = 0; asked < this.#count; asked += 1) {
      const at = 3 * asked;
      const box = this.#boxes[asked] as LaneBox;
      const outMs = box.answerOf(numbers[at + 2] as number);
      take(numbers[at] as number, numbers[at + 1] as number, outMs);
    }
    this.#count = 0;
  }
}
