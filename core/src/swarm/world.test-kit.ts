// A small world for tests: hosts that run the real scheduler on a virtual clock and move bytes at given
// rates, without any bytes. One event queue, one seed; not for thousands of hosts.
import { derivePieces, type PieceMap } from "../content/pieces.ts";
import { digest, toHex } from "../digest.ts";
import { assert } from "../error.ts";
import { Prng } from "../prng.ts";
import { kibibyte, type Bytes, type Millis } from "../units.ts";
import type { KnownPeer } from "../wire/messages.ts";
import { bitfieldOf, setBit } from "./bitfield.ts";
import { type SwarmConfig, withDefaults } from "./config.ts";
import type { ArtifactProgress, SwarmInput, SwarmOutput, UploadOrder } from "./events.ts";
import type { SwarmLogEvent } from "./log-events.ts";
import { Swarm } from "./swarm.ts";

export interface HostOptions extends Partial<SwarmConfig> {
  readonly name: string;
  readonly upBytesPerMs?: number;
  readonly downBytesPerMs?: number;
  /** Every chunk that it sends is wrong. */
  readonly lies?: boolean;
  /** It takes requests and answers none. */
  readonly isSilent?: boolean;
  /** Keeps everything that it orders and logs, for `World.digest`. */
  readonly isTraced?: boolean;
  /** Chunks held from the start: all, none, or those that the function takes. */
  readonly holds?: boolean | ((chunk: number) => boolean);
}

export const cid: string = `b${"a".repeat(58)}`;
const slot = 1;
const latencyMs = 0.5;

interface Event {
  readonly at: Millis;
  readonly order: number;
  readonly run: () => void;
}

/** An artifact of equal chunks. */
export function piecesOf(bytes: Bytes, chunkBytes: Bytes = 256 * kibibyte): PieceMap {
  const chunks = new Uint32Array(Math.ceil(bytes / chunkBytes)).fill(chunkBytes);
  return derivePieces({ bytes: chunks.length * chunkBytes, chunkBytes: chunks });
}

export class World {
  readonly pieces: PieceMap;
  readonly hosts: Host[] = [];
  readonly #prng: Prng;
  readonly #events: Event[] = [];
  #order = 0;
  #links = 0;
  now: Millis = 0;

  constructor(pieces: PieceMap, seed: number) {
    this.pieces = pieces;
    this.#prng = new Prng(seed);
  }

  add(options: HostOptions): Host {
    const host = new Host(this, options, this.#prng.child(this.hosts.length));
    this.hosts.push(host);
    host.join();
    return host;
  }

  /** Tells a host of all others. */
  introduce(host: Host): void {
    const peers = this.hosts.filter((other) => other !== host).map((other) => other.known);
    host.tell({ type: "candidatesOffered", artifact: slot, peers });
  }

  introduceAll(): void {
    for (const host of this.hosts) this.introduce(host);
  }

  after(delayMs: Millis, run: () => void): void {
    const event = { at: this.now + delayMs, order: (this.#order += 1), run };
    let place = this.#events.length;
    this.#events.push(event);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!isBefore(event, this.#events[parent] as Event)) break;
      this.#events[place] = this.#events[parent] as Event;
      place = parent;
    }
    this.#events[place] = event;
  }

  /** Runs until the condition holds or the time is over; answers whether it holds. */
  run(untilMs: Millis, isDone: () => boolean = () => false): boolean {
    while (!isDone()) {
      const next = this.#events[0];
      if (next === undefined || next.at > untilMs) return false;
      this.#pop();
      this.now = next.at;
      next.run();
    }
    return true;
  }

  find(peerId: string): Host | undefined {
    return this.hosts.find((host) => host.known.peerId === peerId);
  }

  connect(from: Host, to: Host): void {
    if (!to.isAlive || to.linkTo(from) !== undefined) {
      if (from.linkTo(to) === undefined) from.tell({ type: "dialFailed", peer: to.known.peerId });
      return;
    }
    this.#links += 1;
    const link = this.#links;
    from.attach(link, to);
    to.attach(link, from);
  }

  /** One digest over everything that the traced hosts logged and ordered. */
  digest(): string {
    const lines = this.hosts.map((host) => `${host.name} ${host.trace.join("\n")}`);
    return toHex(digest(new TextEncoder().encode(lines.join("\n"))));
  }

  #pop(): void {
    const last = this.#events.pop() as Event;
    if (this.#events.length === 0) return;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      const [left, right] = [this.#events[child], this.#events[child + 1]];
      if (left === undefined) break;
      if (right !== undefined && isBefore(right, left)) child += 1;
      const smaller = this.#events[child] as Event;
      if (!isBefore(smaller, last)) break;
      this.#events[place] = smaller;
      place = child;
    }
    this.#events[place] = last;
  }
}

export class Host {
  readonly name: string;
  readonly known: KnownPeer;
  readonly swarm: Swarm;
  readonly config: SwarmConfig;
  readonly log: SwarmLogEvent[] = [];
  readonly trace: string[] = [];
  readonly sentPieces: Map<number, number> = new Map();
  readonly #world: World;
  readonly #options: HostOptions;
  readonly #links: Map<number, Host> = new Map();
  readonly #stopped: Set<string> = new Set();
  #upFreeMs: Millis = 0;
  #downFreeMs: Millis = 0;
  #timerMs: Millis = Infinity;
  #isBusy = false;
  readonly #inputs: SwarmInput[] = [];
  isAlive = true;
  completeMs: Millis | undefined;

  constructor(world: World, options: HostOptions, prng: Prng) {
    this.name = options.name;
    this.#world = world;
    this.#options = options;
    this.config = withDefaults({ zone: "a", logPieces: true, ...options });
    this.swarm = new Swarm(this.config, prng);
    const { seeder, zone } = this.config;
    this.known = { peerId: `peer-${options.name}`, addresses: ["/memory"], zone, seeder };
  }

  get progress(): ArtifactProgress {
    const progress = this.swarm.progress(slot, this.#world.now);
    assert(progress !== undefined, "the host is a member");
    return progress;
  }

  linkTo(other: Host): number | undefined {
    for (const [link, host] of this.#links) if (host === other) return link;
    return undefined;
  }

  join(): void {
    const { pieces } = this.#world;
    const held = bitfieldOf(pieces.chunksCount);
    const { holds = false } = this.#options;
    for (let chunk = 0; chunk < pieces.chunksCount; chunk += 1) {
      if (typeof holds === "function" ? holds(chunk) : holds) setBit(held, chunk);
    }
    this.tell({ type: "artifactJoined", artifact: slot, cid, pieces, held, priority: 0 });
  }

  attach(link: number, other: Host): void {
    this.#links.set(link, other);
    this.tell({ type: "linkOpened", link, peer: other.known });
    this.tell({ type: "permissionChanged", link, artifact: slot, allowed: true });
  }

  /** As by kill -9: nothing is said, and others notice after a while. */
  die(): void {
    this.isAlive = false;
    for (const [link, other] of this.#links) {
      this.#world.after(100, () => other.lose(link));
    }
  }

  lose(link: number): void {
    if (this.#links.delete(link)) this.tell({ type: "linkClosed", link });
  }

  /** One input, and all orders that follow. */
  tell(input: SwarmInput): void {
    if (!this.isAlive) return;
    this.#inputs.push(input);
    if (this.#isBusy) return;
    this.#isBusy = true;
    for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
      this.swarm.handle(next, this.#world.now);
      for (let out = this.swarm.poll(); out !== undefined; out = this.swarm.poll()) {
        this.#perform(out);
      }
    }
    this.#isBusy = false;
    this.#arm();
  }

  #arm(): void {
    const dueMs = this.swarm.nextDeadline();
    if (dueMs === undefined || dueMs >= this.#timerMs) return;
    this.#timerMs = dueMs;
    this.#world.after(Math.max(0, dueMs - this.#world.now), () => {
      if (this.#timerMs !== dueMs) return;
      this.#timerMs = Infinity;
      this.tell({ type: "deadline" });
    });
  }

  #perform(output: SwarmOutput): void {
    const world = this.#world;
    if (output.type === "log") this.log.push(output.event);
    if (this.#options.isTraced === true) {
      const event = output.type === "log" ? output.event : output;
      this.trace.push(`${world.now} ${JSON.stringify(event)}`);
    }
    switch (output.type) {
      case "log":
      case "discard":
        return;
      case "complete":
        this.completeMs = world.now;
        return;
      case "dial": {
        const other = world.find(output.peer);
        world.after(2 * latencyMs, () => other !== undefined && world.connect(this, other));
        return;
      }
      case "drop": {
        const { link } = output;
        const other = this.#links.get(link);
        this.#links.delete(link);
        if (other !== undefined) world.after(latencyMs, () => other.lose(link));
        return;
      }
      case "accept": {
        const { link, artifact, chunk } = output;
        const from = this.#links.get(link);
        const peer = from?.known.peerId ?? "";
        const type = from?.lies === true ? "chunkRefused" : "chunkStored";
        world.after(0.1, () => this.tell({ type, artifact, chunk, link, peer }));
        return;
      }
      case "upload":
        return this.#upload({ ...output }, 0);
      case "stopUpload":
        this.#stopped.add(`${output.link}/${output.request}`);
        return;
      default:
        this.#say(output);
    }
  }

  get lies(): boolean {
    return this.#options.lies === true;
  }

  #say(output: Exclude<SwarmOutput, { type: "log" | "complete" | "dial" | "discard" }>): void {
    const { link } = output;
    const other = this.#links.get(link);
    if (other === undefined) return;
    const input = received(output);
    // The end of a request comes where its chunks come, and doesn't overtake them.
    const atMs = output.type === "reject" ? other.#receiveAt(this.#world.now, 0) : this.#world.now;
    this.#world.after(atMs - this.#world.now + latencyMs, () => {
      if (other.isAlive && other.#links.has(link)) other.tell(input);
    });
  }

  /** Chunk after chunk: first through this host's way up, then through the other's way down. */
  #upload(order: UploadOrder, sent: number): void {
    const { link, request, firstChunk, count } = order;
    const other = this.#links.get(link);
    const key = `${link}/${request}`;
    if (!this.isAlive || other === undefined || this.#options.isSilent === true) return;
    if (this.#stopped.delete(key)) {
      this.tell({ type: "uploadEnded", link, request, outcome: "stopped" });
      return;
    }
    const world = this.#world;
    const chunk = firstChunk + sent;
    const bytes = world.pieces.chunkOffset(chunk + 1) - world.pieces.chunkOffset(chunk);
    const startMs = Math.max(world.now, this.#upFreeMs);
    this.#upFreeMs = startMs + bytes / (this.#options.upBytesPerMs ?? 125_000);
    const arriveMs = other.#receiveAt(this.#upFreeMs, bytes) + latencyMs;
    world.after(arriveMs - world.now, () => {
      if (other.#links.has(link)) other.tell({ type: "chunkReceived", link, request, chunk });
    });
    world.after(this.#upFreeMs - world.now, () => {
      if (sent + 1 < count) return this.#upload(order, sent + 1);
      const piece = world.pieces.pieceOf(firstChunk);
      this.sentPieces.set(piece, (this.sentPieces.get(piece) ?? 0) + 1);
      this.tell({ type: "uploadEnded", link, request, outcome: "sent" });
    });
  }

  #receiveAt(atMs: Millis, bytes: Bytes): Millis {
    const durationMs = bytes / (this.#options.downBytesPerMs ?? 125_000);
    this.#downFreeMs = Math.max(atMs, this.#downFreeMs + durationMs);
    return this.#downFreeMs;
  }
}

/** What the other side is told of an order to say something. */
function received(
  output: Exclude<SwarmOutput, { type: "log" | "complete" | "dial" | "discard" }>,
): SwarmInput {
  switch (output.type) {
    case "join":
      return { type: "peerJoined", link: output.link, artifact: slot };
    case "leave":
      return { type: "peerLeft", link: output.link, artifact: slot };
    case "bitfield":
      return { ...output, type: "bitfieldReceived" };
    case "haves":
      return { ...output, type: "havesReceived", pieces: output.pieces.slice() };
    case "peers":
      return { type: "candidatesOffered", artifact: slot, peers: output.peers };
    case "request":
      return { ...output, type: "requestReceived" };
    case "cancel":
      return { type: "cancelReceived", link: output.link, request: output.request };
    case "reject":
      return { type: "rejectReceived", link: output.link, request: output.request };
    default:
      throw new Error(`${output.type} is not said to anybody`);
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
