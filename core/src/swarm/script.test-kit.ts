// One scheduler, told things one by one: answers what it orders, with a clock that the test moves.
import { Prng } from "../prng.ts";
import { kibibyte, type Millis } from "../units.ts";
import type { PieceMap } from "../content/pieces.ts";
import { derivePieces } from "../content/pieces.ts";
import { bitfieldOf, setBit } from "./bitfield.ts";
import { type SwarmConfig, withDefaults } from "./config.ts";
import type { SwarmInput, SwarmOutput } from "./events.ts";
import { Swarm } from "./swarm.ts";

export type Order<Type extends SwarmOutput["type"]> = Extract<SwarmOutput, { type: Type }>;

/** Pieces of 256 KiB, of four chunks each. */
export function smallPieces(count: number): PieceMap {
  const chunkBytes = new Uint32Array(count * 4).fill(64 * kibibyte);
  return derivePieces({ bytes: chunkBytes.length * 64 * kibibyte, chunkBytes });
}

export function bits(count: number, set: readonly number[] | "all"): Uint8Array {
  const field = bitfieldOf(count);
  for (let index = 0; index < count; index += 1) {
    if (set === "all" || set.includes(index)) setBit(field, index);
  }
  return field;
}

export class Script {
  readonly swarm: Swarm;
  readonly pieces: PieceMap;
  now: Millis = 0;
  #orders: SwarmOutput[] = [];

  constructor(pieces: PieceMap, config: Partial<SwarmConfig> = {}) {
    this.pieces = pieces;
    this.swarm = new Swarm(withDefaults({ zone: "a", invites: false, ...config }), new Prng(1));
  }

  tell(input: SwarmInput): this {
    this.swarm.handle(input, this.now);
    for (let out = this.swarm.poll(); out !== undefined; out = this.swarm.poll()) {
      this.#orders.push(out.type === "haves" ? { ...out, pieces: out.pieces.slice() } : { ...out });
    }
    return this;
  }

  /** Goes on in time, keeping every deadline on the way. */
  wait(forMs: Millis): this {
    const untilMs = this.now + forMs;
    for (;;) {
      const dueMs = this.swarm.nextDeadline();
      if (dueMs === undefined || dueMs > untilMs) break;
      this.now = Math.max(this.now, dueMs);
      this.tell({ type: "deadline" });
    }
    this.now = untilMs;
    return this;
  }

  /** Takes the orders of a kind that were given since they were last taken. */
  take<Type extends SwarmOutput["type"]>(type: Type): Order<Type>[] {
    const taken = this.#orders.filter((order): order is Order<Type> => order.type === type);
    this.#orders = this.#orders.filter((order) => order.type !== type);
    return taken;
  }

  forgetOrders(): this {
    this.#orders = [];
    return this;
  }

  joinArtifact(
    held: readonly number[] | "all" = [],
    artifact = 1,
    priority = 0,
    reused: readonly number[] = [],
  ): this {
    const { pieces } = this;
    const reusing = bits(pieces.chunksCount, reused);
    const cid = `b${"a".repeat(50)}${artifact}`;
    const field = bits(pieces.chunksCount, held);
    const has = { pieces, held: field, reusing };
    return this.tell({ type: "artifactJoined", artifact, cid, ...has, priority });
  }

  /** A link to a peer that is a member and offers these pieces. */
  openPeer(
    link: number,
    offers: readonly number[] | "all",
    options: { seeder?: boolean; zone?: string; artifacts?: readonly number[] } = {},
  ): this {
    const { seeder = false, zone = "b", artifacts = [1] } = options;
    const peer = { peerId: `peer-${link}`, addresses: [`/peer/${link}`], zone, seeder };
    this.tell({ type: "linkOpened", link, peer });
    for (const artifact of artifacts) {
      this.tell({ type: "permissionChanged", link, artifact, allowed: true });
      this.tell({ type: "peerJoined", link, artifact });
      const pieces = bits(this.pieces.count, offers);
      this.tell({ type: "bitfieldReceived", link, artifact, pieces });
    }
    return this;
  }

  /** Delivers a whole request, verified and stored. */
  deliver({ link, request, artifact, firstChunk, count }: Order<"request">): this {
    for (let chunk = firstChunk; chunk < firstChunk + count; chunk += 1) {
      this.tell({ type: "chunkReceived", link, request, chunk });
      if (this.take("accept").length > 0) {
        this.tell({ type: "chunkStored", artifact, chunk, link });
      }
    }
    return this;
  }
}
