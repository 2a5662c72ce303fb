// A simulated region on a virtual clock: machines with the real scheduler, links between them, messages
// and bytes on their way. Depends on its scenario alone: the same seed gives the same events.
import { derivePieces, type PieceMap } from "@shoal/core/content/pieces";
import type { SwarmConfig } from "@shoal/core/swarm/config";
import { withDefaults } from "@shoal/core/swarm/config";
import type { UploadOrder } from "@shoal/core/swarm/events";
import { Outputs } from "@shoal/core/swarm/outputs";
import type { SwarmLogEvent } from "@shoal/core/swarm/log-events";
import { Prng } from "@shoal/core/prng";
import type { Bytes, ChunkIndex, Millis } from "@shoal/core/units";
import { announceMs, announceSoonMs } from "@shoal/core/limits";
import { Connections } from "./connections.ts";
import { kinds } from "./event-kinds.ts";
import { EventQueue } from "./event-queue.ts";
import { eventListMax } from "./event-records.ts";
import { Introductions } from "./introductions.ts";
import { laneOf, onlyLane, type Lane } from "./lane.ts";
import { latencyMs } from "./latency.ts";
import { LinkTable } from "./link-table.ts";
import { Mail } from "./mail.ts";
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
  type Site,
} from "./sim-host.ts";

/** The table of members is where the first seeder is. */
const tableHost = 0;

export interface WorldWatcher {
  readonly log: (host: SimHost, event: SwarmLogEvent) => void;
  readonly completed: (host: SimHost) => void;
  readonly killed: (host: SimHost) => void;
}

export class World implements HostWorld {
  readonly scenario: Scenario;
  readonly pieces: PieceMap;
  /** All hosts of the world. */
  readonly sites: Site[] = [];
  /** Those of this lane, by their index. */
  readonly #hosts: (SimHost | undefined)[] = [];
  readonly network: Network;
  /** Set before hosts are added. */
  inspector: Inspector | undefined;
  readonly #watcher: WorldWatcher;
  readonly #lane: Lane;
  readonly #queue = new EventQueue();
  readonly #messages = new Messages();
  readonly #mail: Mail;
  /** Told again and again. */
  readonly #fact = new Fact();
  readonly #list = new Uint32Array(eventListMax);
  /** One for all hosts: each is told one thing at a time, and carries out what it orders at once. */
  readonly outputs = new Outputs();
  /** Makes what is alike in all lanes. */
  readonly #prng: Prng;
  readonly #ownPrng: Prng;
  readonly #introductions: Introductions;
  readonly #indexes: Map<string, number> = new Map();
  readonly #links: LinkTable;
  readonly #connections: Connections;
  readonly #calls: Map<number, () => void> = new Map();
  #called = 0;
  #taken = 0;
  now: Millis = 0;

  constructor(scenario: Scenario, watcher: WorldWatcher, lane: Lane = onlyLane) {
    this.scenario = scenario;
    this.#watcher = watcher;
    this.#lane = lane;
    this.#prng = new Prng(scenario.seed);
    this.#ownPrng = new Prng(scenario.seed).child(10 + lane.index);
    const { artifactBytes, chunkBytes } = scenario;
    const chunks = new Uint32Array(Math.ceil(artifactBytes / chunkBytes)).fill(chunkBytes);
    this.pieces = derivePieces({ bytes: chunks.length * chunkBytes, chunkBytes: chunks });
    this.#introductions = new Introductions(this.#prng.child(1));
    this.#links = new LinkTable(lane.index, lane.count);
    this.#mail = new Mail({
      ...{ lane, queue: this.#queue, messages: this.#messages, sites: this.sites },
      indexOf: (peerId) => this.#indexes.get(peerId) ?? tableHost,
      isMessage: (kind) => kind === kinds.message || kind === kinds.introduced,
    });
    this.network = this.#createNetwork();
    this.#connections = new Connections({
      ...{ mail: this.#mail, links: this.#links, sites: this.sites, network: this.network },
      reachesMs: (host, other, ways) => this.#reaches(host, other, ways),
    });
  }

  #createNetwork(): Network {
    return new Network(
      {
        queue: this.#queue,
        mail: this.#mail,
        chunkBytes: (chunk) => this.#chunkBytes(chunk),
        latencyMs: (from, to) => latencyMs(this.scenario, from, to),
        ended: (host, link, request, isStopped) =>
          this.#uploadEnded(host, link, request, isStopped),
      },
      kinds,
      this.scenario.chunkBytes,
    );
  }

  /** Events so far. */
  get events(): number {
    return this.#taken;
  }

  /** The hosts of this lane. */
  get hosts(): readonly SimHost[] {
    return this.#hosts.filter((host) => host !== undefined);
  }

  /** Adds a host to all lanes; answers it where it is this lane's. */
  add(
    nature: Nature,
    zone: number,
    mbit: number,
    config: Partial<SwarmConfig>,
  ): SimHost | undefined {
    const index = this.sites.length;
    const { isSeeder: seeder } = nature;
    const known = { peerId: `peer-${index}`, addresses: ["/sim"], zone: `zone-${zone}`, seeder };
    const site = { index, known, nature };
    const full = withDefaults({ seeder, self: known.peerId, zone: known.zone, ...config });
    const prng = this.#prng.child(1000 + index);
    const isOwn = laneOf(index, this.#lane) === this.#lane.index;
    const host = isOwn ? new SimHost(this, site, full, prng) : undefined;
    this.sites.push(host ?? site);
    this.#hosts.push(host);
    this.#indexes.set(known.peerId, index);
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
    for (const link of links) this.#links.close(link, host.index);
    host.die(this.#ownPrng.child(host.index));
    this.#watcher.killed(host);
    this.network.cutAll(host.index);
    this.#mail.post(this.#reaches(host, tableHost), kinds.departed, tableHost, host.index);
    const noticedMs = this.now + this.scenario.deathNoticedMs;
    for (const link of links) {
      const other = this.#links.otherEnd(link, host.index);
      this.#mail.post(Math.max(noticedMs, this.#reaches(host, other)), kinds.lost, other, link);
    }
  }

  /** Runs until it is asked to stop, or nothing is left that is due before a time. */
  run(beforeMs: Millis, isDone: () => boolean): boolean {
    const queue = this.#queue;
    while (!isDone()) {
      if (!queue.next(beforeMs)) return false;
      this.now = queue.at;
      this.#taken += 1;
      this.#dispatch(queue);
    }
    return true;
  }

  /** Takes what other lanes have for this one, and answers what they ask. */
  takeMail(): void {
    this.#mail.take();
    for (const box of this.#lane.inboxes) {
      box?.answer((to, beginsMs, bytes, soonestMs) =>
        this.network.passDown(to, beginsMs, bytes, soonestMs),
      );
    }
  }

  /** Takes the answers of other lanes, who have taken what this one had for them. */
  takeAnswers(): void {
    this.network.takeAnswers();
    for (const box of this.#lane.outboxes) box?.clear();
  }

  /** Whether a link of a host leads to another zone. */
  isFar(host: SimHost, link: number): boolean {
    return this.#other(link, host).known.zone !== host.known.zone;
  }

  armTimer(host: SimHost, at: Millis): void {
    this.#queue.add(at, kinds.timer, host.index, host.life);
  }

  dial(host: SimHost, peerId: string): void {
    const other = this.#indexes.get(peerId);
    if (other !== undefined && other !== host.index) return this.#connections.dial(host, other);
    const { life } = host;
    return this.at(this.now, () => {
      if (host.life === life) host.tell({ type: "dialFailed", peer: peerId });
    });
  }

  closeLink(host: SimHost, link: number): void {
    this.#connections.close(host, link);
  }

  store(host: SimHost, link: number, chunk: ChunkIndex): void {
    const takesMs = this.#chunkBytes(chunk) / this.scenario.diskBytesPerMs;
    host.diskFreeMs = Math.max(host.diskFreeMs, this.now) + takesMs;
    this.#queue.add(host.diskFreeMs, kinds.stored, host.index, host.life, link, chunk);
  }

  upload(host: SimHost, { link, request, firstChunk, count }: UploadOrder): void {
    const other = this.#links.otherEnd(link, host.index);
    this.network.start(host.index, other, link, request, firstChunk, count, this.now);
  }

  stopUpload(host: SimHost, link: number, request: number): void {
    this.network.stop(host.index, link, request);
  }

  say(host: SimHost, output: SaidOutput): void {
    const { link } = output;
    const other = this.#links.otherEnd(link, host.index);
    const soonMs = this.#reaches(host, other);
    const mail = this.#mail;
    switch (output.type) {
      case "request": {
        const { request, firstChunk, count } = output;
        return mail.post(soonMs, kinds.request, other, link, request, firstChunk, count);
      }
      case "cancel":
        return mail.post(soonMs, kinds.cancel, other, link, output.request);
      case "reject":
        return mail.post(soonMs, kinds.reject, other, link, output.request);
      case "haves": {
        const { pieces, count } = output;
        const valueMax = this.pieces.count;
        if (mail.postList(soonMs, kinds.haves, other, link, pieces, count, valueMax)) return;
        break;
      }
      default:
    }
    mail.say(soonMs, kinds.message, other, link, output);
  }

  completed(host: SimHost): void {
    this.#watcher.completed(host);
  }

  log(host: SimHost, event: SwarmLogEvent): void {
    this.#watcher.log(host, event);
  }

  #dispatch(event: EventQueue): void {
    const { kind, at, a, b, c, d } = event;
    if (kind === kinds.segment) return this.network.onSegment(a, b, at);
    if (kind === kinds.call) return this.#call(a);
    const host = this.#hosts[a] as SimHost;
    if (kind === kinds.timer) return host.life === b ? host.onTimer(at) : undefined;
    if (kind === kinds.stored) return host.life === b ? this.#stored(host, c, d) : undefined;
    if (kind > kinds.rejected) return this.#dispatchSeldom(host, event);
    const isOpen = this.#links.isOpen(b, a);
    if (kind === kinds.message) {
      if (isOpen) host.tell(this.#messages.at(c));
      return this.#messages.release(c);
    }
    return isOpen ? this.#tell(host, event) : undefined;
  }

  /** What comes by a link. */
  #tell(host: SimHost, { kind, at, a, b, c, d, e }: EventQueue): void {
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
      case kinds.cancel:
        fact.type = "cancelReceived";
        break;
      default: {
        // The end of a request comes where its chunks come, and doesn't overtake them.
        const outMs = this.network.arrival(a, at);
        if (kind === kinds.reject && outMs > at) {
          return this.#queue.add(outMs, kinds.rejected, a, b, c);
        }
        fact.type = "rejectReceived";
      }
    }
    return host.tell(fact.input);
  }

  #dispatchSeldom(host: SimHost, { kind, b, c, d }: EventQueue): void {
    switch (kind) {
      case kinds.knock:
        return this.#connections.knocked(host, b, c, d);
      case kinds.welcome:
        return this.#connections.welcomed(host, b, c, d);
      case kinds.unwelcome:
        return this.#connections.refused(host, c, d);
      case kinds.lost:
        return this.#connections.lose(host, b);
      case kinds.announce:
        return this.#introduce(b, c);
      case kinds.departed:
        return this.#introductions.remove(this.sites[b] as Site);
      default:
        if (host.life === b) host.tell(this.#messages.at(c));
        return this.#messages.release(c);
    }
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
    const host = this.#hosts[from] as SimHost;
    if (!this.#links.isOpen(link, from)) return;
    const fact = this.#fact;
    fact.type = "uploadEnded";
    fact.link = link;
    fact.request = request;
    fact.outcome = isStopped ? "stopped" : "sent";
    host.tell(fact.input);
  }

  /** Tells the region's seeders, again and again until the host is done, and hears of others. */
  #announce(host: SimHost): void {
    const { index, life } = host;
    this.#mail.post(this.#reaches(host, tableHost), kinds.announce, tableHost, index, life);
    if (host.completeMs !== undefined) return;
    const pauseMs = Math.min(announceSoonMs * 2 ** host.announced, announceMs);
    host.announced += 1;
    this.at(this.now + pauseMs * (0.75 + this.#ownPrng.next() / 2), () => {
      if (host.life === life) this.#announce(host);
    });
  }

  #introduce(host: number, life: number): void {
    const peers = this.#introductions.announce(this.sites[host] as Site);
    const about = { link: 0, artifact: slot };
    const soonMs = this.now + latencyMs(this.scenario, tableHost, host);
    this.#mail.say(soonMs, kinds.introduced, host, life, { type: "peers", ...about, peers });
  }

  #other(link: number, host: SimHost): Site {
    return this.sites[this.#links.otherEnd(link, host.index)] as Site;
  }

  /** When something that a host sends now is with another, after so many ways between them. */
  #reaches(host: SimHost, other: number, ways = 1): Millis {
    return this.now + ways * latencyMs(this.scenario, host.index, other);
  }

  #chunkBytes(chunk: ChunkIndex): Bytes {
    return this.pieces.chunkOffset(chunk + 1) - this.pieces.chunkOffset(chunk);
  }
}
