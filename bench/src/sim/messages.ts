// What hosts are told. Facts of the hot path are one record that is filled again and again, and messages
// on their way are kept in records that are used again, all of one shape, so that telling allocates
// nothing once the pool has grown; an input is valid until the next one.
import type { SwarmInput } from "@shoal/core/swarm/events";
import type { KnownPeer } from "@shoal/core/wire/messages";
import { slot, type SaidOutput } from "./sim-host.ts";

/** What is kept until it arrives; requests and their ends are events by themselves. */
export type KeptOutput = Exclude<SaidOutput, { type: "request" | "cancel" | "reject" }>;

const none = new Uint8Array(0);
const nobody: readonly KnownPeer[] = [];

/** An input of the hot path: the fields that its type doesn't have say nothing. */
export class Fact {
  type: SwarmInput["type"] = "deadline";
  readonly artifact: number = slot;
  link = 0;
  request = 0;
  firstChunk = 0;
  count = 0;
  chunk = 0;
  outcome: "sent" | "stopped" = "sent";
  peer = "";
  pieces: Uint8Array | Uint32Array = none;
  peers: readonly KnownPeer[] = nobody;

  get input(): SwarmInput {
    return this as SwarmInput;
  }
}

export class Messages {
  readonly #records: Fact[] = [];
  readonly #free: number[] = [];
  readonly #buffers: Uint32Array[] = [];

  /** Keeps what a host says until it is delivered; answers its number. */
  keep(output: KeptOutput): number {
    const id = this.#free.pop() ?? this.#grow();
    const record = this.#records[id] as Fact;
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
    }
    return id;
  }

  /** What the other side is told. Call `release` when it was told. */
  at(id: number): SwarmInput {
    return (this.#records[id] as Fact).input;
  }

  release(id: number): void {
    const record = this.#records[id] as Fact;
    if (record.pieces instanceof Uint32Array) this.#buffers.push(record.pieces);
    record.pieces = none;
    record.peers = nobody;
    this.#free.push(id);
  }

  #grow(): number {
    this.#records.push(new Fact());
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
