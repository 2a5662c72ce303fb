// A simulated region on a virtual clock: machines with the real scheduler, links between them, messages
// and bytes on their way. Depends on its scenario alone: the same seed gives the same events.
import { derivePieces, type PieceMap } from "@shoal/core/content/pieces";
import type { SwarmConfig } from "@shoal/core/swarm/config";
import { withDefaults } from "@shoal/core/swarm/config";
import type { UploadOrder } from "@shoal/core/swarm/events";
import { Outputs } from "@shoal/core/swarm/outputs";
import type { SwarmLogEvent } from "@shoal/core/swarm/log-events";
import { Prng } from "@shoal/core/prng";
import { kibibyte, type Bytes, type ChunkIndex, type Millis } from "@shoal/core/units";
import { announceMs, announceSoonMs } from "@shoal/core/limits";
import { EventQueue, eventListMax, eventListValueMax } from "./event-queue.ts";
import { Introductions } from "./introductions.ts";
import { Fact, Messages } from "./messages.ts";
import { Network } from "./network.ts";
import { bytesPerMs, type Scenario } from "./scenario.ts";
import {
  SimHost,
  slot,
  type HostWorld,
  type Inspector,
  type Nature,
  type SaidOutput,
} from "./sim-host.ts";

const kinds = {
  segment: 0,
  chunk: 1,
  stored: 2,
  message: 3,
  timer: 4,
  call: 5,
  request: 6,
  cancel: 7,
  reject: 8,
  /** Few pieces: the others are messages. */
  haves: 9,
} as const;

/** Largest number of segments that a chunk is sent in, and the smallest segment. */
const segmentsPerChunk = 2;
const segmentBytesMin: Bytes = 64 * kibibyte;

export interface WorldWatcher {
  readonly log: (host: SimHost, event: SwarmLogEvent) => void;
  readonly completed: (host: SimHost) => void;
  readonly killed: (host: SimHost) => void;
}

export class World implements HostWorld {
  readonly scenario: Scenario;
  readonly pieces: PieceMap;
  readonly hosts: SimHost[] = [];
  readonly network: Network;
  /** Set before hosts are added. */
  inspector: Inspector | undefined;
  readonly #watcher: WorldWatcher;
  readonly #queue = new EventQueue();
  readonly #messages = new Messages();
  /** Told again and again. */
  readonly #fact = new Fact();
  readonly #list = new Uint32Array(eventListMax);
  /** One for all hosts: each is told one thing at a time, and carries out what it orders at once. */
  readonly outputs = new Outputs();
  readonly #prng: Prng;
  readonly #introductions: Introductions;
  readonly #byPeerId: Map<string, SimHost> = new Map();
  /** Both ends of each link, by its number. */
  readonly #ends: SimHost[] = [];
  /** Whether each end is open, in the same order. */
  #isOpen = new Uint8Array(1024);
  readonly #calls: Map<number, () => void> = new Map();
  #called = 0;
  #taken = 0;
  now: Millis = 0;

  constructor(scenario: Scenario, watcher: WorldWatcher) {
    this.scenario = scenario;
    this.#watcher = watcher;
    this.#prng = new Prng(scenario.seed);
    const { artifactBytes, chunkBytes } = scenario;
    const chunks = new Uint32Array(Math.ceil(artifactBytes / chunkBytes)).fill(chunkBytes);
    this.pieces = derivePieces({ bytes: chunks.length * chunkBytes, chunkBytes: chunks });
    this.#introductions = new Introductions(this.#prng.child(1));
    this.network = new Network(
      {
        queue: this.#queue,
        chunkBytes: (chunk) => this.#chunkBytes(chunk),
        latencyMs: (from, to) => this.#latencyMs(from, to),
        ended: (host, link, request, isStopped) =>
          this.#uploadEnded(host, link, request, isStopped),
      },
      kinds,
      Math.max(segmentBytesMin, chunkBytes / segmentsPerChunk),
    );
  }

  /** Events so far. */
  get events(): number {
    return this.#taken;
  }

  add(nature: Nature, zone: number, mbit: number, config: Partial<SwarmConfig>): SimHost {
    const index = this.hosts.length;
    const { isSeeder: seeder } = nature;
    const known = { peerId: `peer-${index}`, addresses: ["/sim"], zone: `zone-${zone}`, seeder };
    const full = withDefaults({ seeder, self: known.peerId, zone: known.zone, ...config });
    const prng = this.#prng.child(1000 + index);
    const host = new SimHost(this, index, known, nature, full, prng);
    this.hosts.push(host);
    this.#byPeerId.set(known.peerId, host);
    this.network.addHost(bytesPerMs(mbit), bytesPerMs(mbit));
    return host;
  }

  at(at: Millis, call: () => void): void {
    this.#called += 1;
    this.#calls.set(this.#called, call);
    this.#queue.add(at, kinds.call, this.#called);
  }

  join(host: SimHost): void {
    host.join();
    this.#announce(host);
  }

  /** As by kill -9, or by a power cut: nothing is said, and others notice after a while. */
  kill(host: SimHost): void {
    const links = [...host.links];
    for (const link of links) this.#isOpen[this.#endOf(host, link)] = 0;
    host.die(this.#prng.child(host.index));
    this.#watcher.killed(host);
    this.#introductions.remove(host);
    this.network.cutAll(host.index);
    const { deathNoticedMs } = this.scenario;
    for (const link of links) {
      this.at(this.now + deathNoticedMs, () => this.#lose(this.#other(link, host), link));
    }
  }

  /** Runs until it is asked to stop, nothing is left to happen, or the time is over. */
  run(untilMs: Millis, isDone: () => boolean): boolean {
    const queue = this.#queue;
    while (!isDone()) {
      if (!queue.next() || queue.at > untilMs) return false;
      this.now = queue.at;
      this.#taken += 1;
      this.#dispatch(queue);
    }
    return true;
  }

  /** Whether a link of a host leads to another zone. */
  isFar(host: SimHost, link: number): boolean {
    return this.#other(link, host).known.zone !== host.known.zone;
  }

  armTimer(host: SimHost, at: Millis): void {
    this.#queue.add(at, kinds.timer, host.index, host.life);
  }

  dial(host: SimHost, peerId: string): void {
    const { life } = host;
    const other = this.#byPeerId.get(peerId);
    const rttMs = other === undefined ? 0 : 2 * this.#latencyMs(host.index, other.index);
    // A handshake of three round trips: TCP, TLS, hello.
    this.at(this.now + 3 * rttMs, () => {
      if (host.life === life) this.#connect(host, peerId, other);
    });
  }

  closeLink(host: SimHost, link: number): void {
    this.#forget(host, link);
    const other = this.#other(link, host);
    const at = this.now + this.#latencyMs(host.index, other.index);
    this.at(at, () => this.#lose(other, link));
  }

  store(host: SimHost, link: number, chunk: ChunkIndex): void {
    const takesMs = this.#chunkBytes(chunk) / this.scenario.diskBytesPerMs;
    host.diskFreeMs = Math.max(host.diskFreeMs, this.now) + takesMs;
    this.#queue.add(host.diskFreeMs, kinds.stored, host.index, host.life, link, chunk);
  }

  upload(host: SimHost, { link, request, firstChunk, count }: UploadOrder): void {
    const other = this.#other(link, host);
    this.network.start(host.index, other.index, link, request, firstChunk, count, this.now);
  }

  stopUpload(host: SimHost, link: number, request: number): void {
    this.network.stop(host.index, link, request);
  }

  say(host: SimHost, output: SaidOutput): void {
    const { link } = output;
    const other = this.#other(link, host);
    const soonMs = this.now + this.#latencyMs(host.index, other.index);
    const queue = this.#queue;
    switch (output.type) {
      case "request": {
        const { request, firstChunk, count } = output;
        return queue.add(soonMs, kinds.request, other.index, link, request, firstChunk, count);
      }
      case "cancel":
        return queue.add(soonMs, kinds.cancel, other.index, link, output.request);
      case "reject": {
        // The end of a request comes where its chunks come, and doesn't overtake them.
        const at = this.network.arrival(other.index, soonMs);
        return queue.add(at, kinds.reject, other.index, link, output.request);
      }
      case "haves": {
        const { pieces, count } = output;
        if (count > eventListMax || this.pieces.count > eventListValueMax) break;
        return queue.addWithList(soonMs, kinds.haves, other.index, link, pieces, count);
      }
      default:
    }
    return queue.add(soonMs, kinds.message, other.index, link, this.#messages.keep(output));
  }

  completed(host: SimHost): void {
    this.#watcher.completed(host);
  }

  log(host: SimHost, event: SwarmLogEvent): void {
    this.#watcher.log(host, event);
  }

  #dispatch({ kind, at, a, b, c, d, e }: EventQueue): void {
    if (kind === kinds.segment) return this.network.onSegment(a, b, at);
    if (kind === kinds.call) return this.#call(a);
    const host = this.hosts[a] as SimHost;
    if (kind === kinds.timer) return host.life === b ? host.onTimer(at) : undefined;
    if (kind === kinds.stored) return host.life === b ? this.#stored(host, c, d) : undefined;
    const isOpen = this.#isOpen[this.#endOf(host, b)] === 1;
    if (kind === kinds.message) {
      if (isOpen) host.tell(this.#messages.at(c));
      return this.#messages.release(c);
    }
    if (!isOpen) return undefined;
    const fact = this.#fact;
    fact.link = b;
    fact.request = c;
    switch (kind) {
      case kinds.chunk:
        fact.type = "chunkReceived";
        fact.chunk = d;
        break;
      case kinds.request:
        fact.type = "requestReceived";
        fact.firstChunk = d;
        fact.count = e;
        break;
      case kinds.haves:
        fact.type = "havesReceived";
        fact.pieces = this.#list;
        fact.count = this.#queue.readList(this.#list);
        break;
      default:
        fact.type = kind === kinds.cancel ? "cancelReceived" : "rejectReceived";
    }
    return host.tell(fact.input);
  }

  #call(id: number): void {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    call?.();
  }

  #stored(host: SimHost, link: number, chunk: ChunkIndex): void {
    const { nature, known } = this.#other(link, host);
    if (!nature.isLying) host.hold(chunk);
    const fact = this.#fact;
    fact.type = nature.isLying ? "chunkRefused" : "chunkStored";
    fact.chunk = chunk;
    fact.link = link;
    fact.peer = known.peerId;
    host.tell(fact.input);
  }

  #uploadEnded(from: number, link: number, request: number, isStopped: boolean): void {
    const host = this.hosts[from] as SimHost;
    if (this.#isOpen[this.#endOf(host, link)] === 0) return;
    const fact = this.#fact;
    fact.type = "uploadEnded";
    fact.link = link;
    fact.request = request;
    fact.outcome = isStopped ? "stopped" : "sent";
    host.tell(fact.input);
  }

  #connect(host: SimHost, peerId: string, other: SimHost | undefined): void {
    if (other === undefined || other === host || !other.isAlive || this.#areLinked(host, other)) {
      host.tell({ type: "dialFailed", peer: peerId });
      return;
    }
    const link = this.#ends.length / 2;
    this.#ends.push(host, other);
    if (this.#ends.length > this.#isOpen.length) {
      const isOpen = this.#isOpen;
      this.#isOpen = new Uint8Array(2 * isOpen.length);
      this.#isOpen.set(isOpen);
    }
    this.#attach(host, link, other);
    this.#attach(other, link, host);
  }

  #attach(host: SimHost, link: number, other: SimHost): void {
    host.links.add(link);
    this.#isOpen[this.#endOf(host, link)] = 1;
    host.tell({ type: "linkOpened", link, peer: other.known });
    if (!host.links.has(link)) return;
    host.tell({ type: "permissionChanged", link, artifact: slot, allowed: true });
  }

  #areLinked(host: SimHost, other: SimHost): boolean {
    for (const link of host.links) if (this.#other(link, host) === other) return true;
    return false;
  }

  #forget(host: SimHost, link: number): void {
    host.links.delete(link);
    this.#isOpen[this.#endOf(host, link)] = 0;
    this.network.cut(host.index, link);
  }

  #lose(host: SimHost, link: number): void {
    if (!host.links.has(link)) return;
    this.#forget(host, link);
    host.tell({ type: "linkClosed", link });
  }

  /** Tells the region's seeders, again and again until the host is done, and hears of others. */
  #announce(host: SimHost): void {
    const peers = this.#introductions.announce(host);
    host.tell({ type: "candidatesOffered", artifact: slot, peers });
    if (host.completeMs !== undefined) return;
    const pauseMs = Math.min(announceSoonMs * 2 ** host.announced, announceMs);
    const { life } = host;
    host.announced += 1;
    this.at(this.now + pauseMs * (0.75 + this.#prng.next() / 2), () => {
      if (host.life === life) this.#announce(host);
    });
  }

  #other(link: number, host: SimHost): SimHost {
    return this.#ends[this.#endOf(host, link) ^ 1] as SimHost;
  }

  #endOf(host: SimHost, link: number): number {
    return this.#ends[2 * link] === host ? 2 * link : 2 * link + 1;
  }

  #latencyMs(from: number, to: number): Millis {
    const { zones, zoneRttMs, regionRttMs } = this.scenario;
    return (from % zones === to % zones ? zoneRttMs : regionRttMs) / 2;
  }

  #chunkBytes(chunk: ChunkIndex): Bytes {
    return this.pieces.chunkOffset(chunk + 1) - this.pieces.chunkOffset(chunk);
  }
}
