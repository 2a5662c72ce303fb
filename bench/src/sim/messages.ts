// Messages on their way. Records and buffers are used again, one shape for all types, so that a message
// allocates nothing once the pool has grown; a delivered input is valid until the next delivery.
import type { SwarmInput } from "@shoal/core/swarm/events";
import type { KnownPeer } from "@shoal/core/wire/messages";
import { slot, type SaidOutput } from "./sim-host.ts";

type SaidInput = Extract<
  SwarmInput,
  {
    type:
      | "peerJoined"
      | "peerLeft"
      | "bitfieldReceived"
      | "havesReceived"
      | "candidatesOffered"
      | "requestReceived"
      | "cancelReceived"
      | "rejectReceived";
  }
>;

interface MessageRecord {
  type: SaidInput["type"];
  readonly artifact: number;
  link: number;
  request: number;
  firstChunk: number;
  count: number;
  pieces: Uint8Array | Uint32Array;
  peers: readonly KnownPeer[];
}

const none = new Uint8Array(0);
const nobody: readonly KnownPeer[] = [];

export class Messages {
  readonly #records: MessageRecord[] = [];
  readonly #free: number[] = [];
  readonly #buffers: Uint32Array[] = [];

  /** Keeps what a host says until it is delivered; answers its number. */
  keep(output: SaidOutput): number {
    const id = this.#free.pop() ?? this.#grow();
    const record = this.#records[id] as MessageRecord;
    record.link = output.link;
    switch (output.type) {
      case "join":
      case "leave":
        record.type = output.type === "join" ? "peerJoined" : "peerLeft";
        break;
      case "bitfield":
        record.type = "bitfieldReceived";
        record.pieces = output.pieces;
        break;
      case "haves":
        record.type = "havesReceived";
        record.pieces = this.#copy(output.pieces, output.count);
        record.count = output.count;
        break;
      case "peers":
        record.type = "candidatesOffered";
        record.peers = output.peers;
        break;
      case "request":
        record.type = "requestReceived";
        record.request = output.request;
        record.firstChunk = output.firstChunk;
        record.count = output.count;
        break;
      default:
        record.type = output.type === "cancel" ? "cancelReceived" : "rejectReceived";
        record.request = output.request;
    }
    return id;
  }

  /** What the other side is told. Call `release` when it was told. */
  at(id: number): SaidInput {
    return this.#records[id] as SaidInput;
  }

  release(id: number): void {
    const record = this.#records[id] as MessageRecord;
    if (record.pieces instanceof Uint32Array) this.#buffers.push(record.pieces);
    record.pieces = none;
    record.peers = nobody;
    this.#free.push(id);
  }

  #grow(): number {
    const numbers = { link: 0, request: 0, firstChunk: 0, count: 0 };
    const type = "peerJoined";
    this.#records.push({ type, artifact: slot, ...numbers, pieces: none, peers: nobody });
    return this.#records.length - 1;
  }

  #copy(pieces: Uint32Array, count: number): Uint32Array {
    let buffer = this.#buffers.pop();
    if (buffer === undefined || buffer.length < count) {
      buffer = new Uint32Array(Math.max(32, 2 ** Math.ceil(Math.log2(count))));
    }
    for (let index = 0; index < count; index += 1) buffer[index] = pieces[index] as number;
    return buffer;
  }
}
