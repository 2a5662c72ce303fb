// Brings events to the hosts they are for: into the queue, or into the box of the lane that has the host.
import type { Millis } from "@shoal/core/units";
import { eventListMax, eventListValueMax } from "./event-records.ts";
import type { EventQueue } from "./event-queue.ts";
import { laneOf, type Lane } from "./lane.ts";
import type { LaneBox } from "./lane-box.ts";
import type { KeptOutput, Messages } from "./messages.ts";
import { slot, type Site } from "./sim-host.ts";

/** What a kept output is in a box: the place of its type. */
const types = ["join", "leave", "bitfield", "haves", "peers"] as const;
const nothing = new Uint8Array(0);

export interface MailDeps {
  readonly lane: Lane;
  readonly queue: EventQueue;
  readonly messages: Messages;
  /** All hosts by their index, and by what they are called. */
  readonly sites: readonly Site[];
  readonly indexOf: (peerId: string) => number;
  /** Whether an event's third number is a kept message's. */
  readonly isMessage: (kind: number) => boolean;
}

export class Mail {
  readonly #deps: MailDeps;

  constructor(deps: MailDeps) {
    this.#deps = deps;
  }

  /** The box of the lane that has a host; undefined for a host of this lane. */
  boxFor(host: number): LaneBox | undefined {
    const { lane } = this.#deps;
    return lane.outboxes[laneOf(host, lane)];
  }

  post(at: Millis, kind: number, to: number, b = 0, c = 0, d = 0, e = 0): void {
    const box = this.boxFor(to);
    if (box === undefined) this.#deps.queue.add(at, kind, to, b, c, d, e);
    else box.records.set(box.nextRecord(), at, kind, to, b, c, d, e);
  }

  /** Posts a list that fits an event; false when it doesn't. */
  postList(
    at: Millis,
    kind: number,
    to: number,
    b: number,
    list: Uint32Array,
    length: number,
    valueMax: number,
  ): boolean {
    if (length > eventListMax || valueMax > eventListValueMax) return false;
    const box = this.boxFor(to);
    if (box === undefined) this.#deps.queue.addWithList(at, kind, to, b, list, length);
    else box.records.setList(box.nextRecord(), at, kind, to, b, list, length);
    return true;
  }

  /** Posts what a host says; the event's third number is the kept message's. */
  say(at: Millis, kind: number, to: number, b: number, output: KeptOutput): void {
    const { queue, messages } = this.#deps;
    const box = this.boxFor(to);
    if (box === undefined) return queue.add(at, kind, to, b, messages.keep(output));
    const bytes = this.#encode(output);
    const begin = box.keep(bytes);
    const type = types.indexOf(output.type);
    return box.records.set(box.nextRecord(), at, kind, to, b, begin, bytes.length, type);
  }

  /** Takes what other lanes have posted. */
  take(): void {
    const { lane, queue, messages, isMessage } = this.#deps;
    for (const box of lane.inboxes) {
      if (box === undefined) continue;
      const { records, eventsCount } = box;
      for (let record = 0; record < eventsCount; record += 1) {
        const kind = records.kindOf(record);
        if (!isMessage(kind)) {
          queue.addCopy(records, record);
          continue;
        }
        const [a, b] = [records.fieldOf(record, 0), records.fieldOf(record, 1)];
        const kept = messages.keep(this.#decode(box, record));
        queue.add(records.timeOf(record), kind, a, b, kept);
      }
    }
  }

  #encode(output: KeptOutput): Uint8Array {
    switch (output.type) {
      case "bitfield":
        return output.pieces;
      case "haves":
        return bytesOf(output.pieces.subarray(0, output.count));
      case "peers": {
        const { indexOf } = this.#deps;
        return bytesOf(Uint32Array.from(output.peers, ({ peerId }) => indexOf(peerId)));
      }
      default:
        return nothing;
    }
  }

  #decode(box: LaneBox, record: number): KeptOutput {
    const { records } = box;
    const bytes = box.kept(records.fieldOf(record, 2), records.fieldOf(record, 3));
    const type = types[records.fieldOf(record, 4)] ?? "leave";
    const about = { link: records.fieldOf(record, 1), artifact: slot };
    switch (type) {
      case "bitfield":
        return { type, ...about, pieces: bytes };
      case "haves": {
        const pieces = new Uint32Array(bytes.buffer);
        return { type, ...about, pieces, count: pieces.length };
      }
      case "peers": {
        const { sites } = this.#deps;
        const indexes = new Uint32Array(bytes.buffer);
        const peers = Array.from(indexes, (index) => (sites[index] as Site).known);
        return { type, ...about, peers };
      }
      default:
        return { type, ...about };
    }
  }
}

function bytesOf(numbers: Uint32Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}
