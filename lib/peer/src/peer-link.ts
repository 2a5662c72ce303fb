// An open link to a peer that has shown its passport: control stream, lanes for chunks, and what was
// asked for on it. Turns wire messages into inputs of the scheduler, one for one, and decides nothing.
import type { Connection, Stream } from "@libp2p/interface";
import type { LinkId } from "@shoal/core/swarm/events";
import type { ControlMessage, KnownPeer, RequestMessage } from "@shoal/core/wire/messages";
import type { Log } from "@shoal/daemon/log";
import type { Passport } from "@shoal/trust/passport";
import type { Budgets } from "./budgets.ts";
import type { BulkPort } from "./bulk/bulk-port.ts";
import type { ChunkLane, LaneListener } from "./chunk-lane.ts";
import type { ControlStream } from "./control-stream.ts";
import { LinkLanes } from "./link-lanes.ts";
import { type ChunkPlaces, OpenRequests } from "./open-requests.ts";
import { StreamLane } from "./stream-lane.ts";
import { StreamReceiver } from "./stream-receiver.ts";
import type { Traffic } from "./traffic.ts";

/** What the driver is told; lanes are this link's own affair. */
export type PeerMessage = Exclude<ControlMessage, { readonly type: "lane" }>;

/** A run of chunks that came. */
export interface ReceivedRun {
  readonly request: number;
  readonly firstChunk: number;
  readonly count: number;
  readonly bytes: Uint8Array;
  /** Its memory isn't needed any more. */
  readonly release: () => void;
}

export interface LinkListener {
  message(link: PeerLink, message: PeerMessage): void;
  run(link: PeerLink, run: ReceivedRun): void;
  requestEnded(link: PeerLink, request: number): void;
  /** What should have brought the rest is gone; it may be asked for again. */
  requestLost(link: PeerLink, request: number): void;
  /** Comes once. */
  closed(link: PeerLink, error: unknown): void;
}

export interface LinkParts {
  readonly id: LinkId;
  readonly known: KnownPeer;
  readonly passport: Passport;
  /** Whether we opened the control stream. */
  readonly isOurs: boolean;
  readonly connection: Connection;
  readonly control: ControlStream;
  /** Opens the stream on which we send chunks where no bulk socket does. */
  readonly openData: () => Promise<Stream>;
  /** What the peer told of its bulk port. */
  readonly bulk: readonly string[];
  readonly port: BulkPort;
  readonly budgets: Budgets;
  readonly traffic: Traffic;
  readonly log: Log;
  readonly listener: LinkListener;
}

export class PeerLink {
  readonly id: LinkId;
  readonly known: KnownPeer;
  readonly passport: Passport;
  readonly isOurs: boolean;
  readonly openedAtMs: number = Date.now();
  readonly connection: Connection;
  readonly #requests: OpenRequests;
  readonly #parts: LinkParts;
  readonly #stream: StreamLane;
  /** The stream on which the peer sends. */
  #received: StreamReceiver | undefined;
  #lanes: LinkLanes | undefined;
  /** What waits for the first bulk socket: requests, and their cancels. */
  #held: (() => void)[] | undefined;
  #isClosed = false;

  constructor(parts: LinkParts) {
    this.id = parts.id;
    this.known = parts.known;
    this.passport = parts.passport;
    this.isOurs = parts.isOurs;
    this.connection = parts.connection;
    this.#parts = parts;
    this.#requests = new OpenRequests((ms) => parts.traffic.answered(ms));
    this.#stream = new StreamLane({
      open: parts.openData,
      failed: (error) => this.close(error),
    });
  }

  /** Everything that the peer said and says goes to the listener from now on. */
  start(): void {
    if (this.#isClosed) return;
    const { port, bulk: told, log, control } = this.#parts;
    this.#lanes = new LinkLanes({
      peerId: this.known.peerId,
      stream: this.#stream,
      port,
      told,
      requests: this.#requests,
      log,
      announce: (message) => this.send(message),
      requestLost: (request) => this.#requestLost(request),
      settled: () => this.#release(),
      listener: { ...this.#laneListener(), requestEnded: (request) => this.#requestEnded(request) },
    });
    // Last: what the peer said already may be answered on the lanes.
    control.listen({
      message: (message) => this.#heard(message),
      ended: (error) => this.close(error),
    });
  }

  /** The peer opened the stream on which it sends chunks. A second one is a fault. */
  receiveOn(stream: Stream): void {
    const requests = this.#requests;
    if (this.#isClosed || this.#received !== undefined) {
      stream.abort(new Error("no second data stream"));
      this.close(new Error("a second data stream"));
      return;
    }
    this.#received = new StreamReceiver(stream, {
      ...this.#laneListener(),
      expects: ({ request, chunk, length }) => requests.expects(0, request, chunk, length),
      requestEnded: (request) => {
        const end = requests.end(0, request);
        if (end === "refused") this.#requestEnded(request);
        if (end === "lost") this.#requestLost(request);
      },
    });
  }

  /** Requests of ours that aren't answered yet. */
  get requestsCount(): number {
    return this.#requests.size;
  }

  send(message: ControlMessage): void {
    if (this.#isClosed) return;
    // A cancel doesn't overtake its request.
    if (message.type === "cancel" && this.#held !== undefined)
      this.#held.push(() => this.send(message));
    else this.#parts.control.send(message);
  }

  /** Asks for chunks of an artifact. */
  ask(request: Omit<RequestMessage, "type" | "lane">, places: ChunkPlaces): void {
    if (this.#isClosed || this.#lanes === undefined) return;
    const lane = this.#lanes.laneToAsk();
    if (lane === undefined) {
      this.#held ??= [];
      this.#held.push(() => this.ask(request, places));
      return;
    }
    const { request: id, firstChunk, count } = request;
    this.#requests.open(id, firstChunk, count, places, lane);
    this.send({ type: "request", ...request, lane });
  }

  /** The lane that a request of the peer is answered on; undefined when it is gone. */
  laneOf(request: number): ChunkLane | undefined {
    return this.#isClosed ? undefined : this.#lanes?.laneOf(request);
  }

  /** A lane failed while it was being sent on; without its stream the link is of no use. */
  laneFailed(lane: ChunkLane, error: unknown): void {
    if (this.#lanes?.isStream(lane) === true) this.close(error);
  }

  /** All chunks of a peer's request were sent. */
  answered(request: number): void {
    this.#lanes?.answered(request);
  }

  endRequest(request: number): void {
    if (!this.#isClosed) this.#lanes?.end(request);
  }

  /** Ends streams and sockets. Idempotent; the listener hears of it once, whoever closed. */
  close(reason: unknown): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const error = reason ?? new Error("the peer closed the link");
    this.#held = undefined;
    this.#parts.control.abort(error);
    this.#stream.abort(error);
    this.#received?.abort(error);
    this.#lanes?.close(error);
    this.#parts.listener.closed(this, reason);
  }

  #heard(message: ControlMessage): void {
    if (this.#isClosed) return;
    try {
      if (message.type === "lane") {
        this.#lanes?.announced(message);
        return;
      }
      if (message.type === "request") this.#lanes?.asked(message.request, message.lane);
    } catch (error) {
      this.close(error);
      return;
    }
    this.#parts.listener.message(this, message);
  }

  #laneListener(): Pick<LaneListener, "pauseMs" | "run" | "ended"> {
    const { budgets } = this.#parts;
    return {
      pauseMs: (bytes) => budgets.received(bytes),
      run: (request, chunk, bytes, release) => this.#took(request, chunk, bytes, release),
      ended: (error) => this.close(error),
    };
  }

  /** It is known whether there is a bulk socket. */
  #release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const say of held) say();
  }

  #took(request: number, firstChunk: number, bytes: Uint8Array, release: () => void): void {
    const count = this.#requests.advance(request, bytes.length);
    if (this.#isClosed) return;
    this.#parts.listener.run(this, { request, firstChunk, count, bytes, release });
  }

  #requestEnded(request: number): void {
    if (!this.#isClosed) this.#parts.listener.requestEnded(this, request);
  }

  #requestLost(request: number): void {
    if (!this.#isClosed) this.#parts.listener.requestLost(this, request);
  }
}
