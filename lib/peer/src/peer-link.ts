// An open link to a peer that has shown its passport: control stream, lanes for chunks, and what was
// asked for on it. Turns wire messages into inputs of the scheduler, one for one, and decides nothing.
import type { Connection, Stream } from "@libp2p/interface";
import type { LinkId } from "@shoal/core/swarm/events";
import type { ControlMessage, KnownPeer, RequestMessage } from "@shoal/core/wire/messages";
import type { Log } from "@shoal/daemon/log";
import type { Passport } from "@shoal/trust/passport";
import type { Budgets } from "./budgets.ts";
import type { BulkPort } from "./bulk/bulk-port.ts";
import type { ChunkLane } from "./chunk-lane.ts";
import type { ControlStream } from "./control-stream.ts";
import { LinkLanes } from "./link-lanes.ts";
import { OpenRequests } from "./open-requests.ts";
import { StreamLane } from "./stream-lane.ts";
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
  readonly data: Stream;
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
  #stream: StreamLane | undefined;
  #lanes: LinkLanes | undefined;
  #isClosed = false;

  constructor(parts: LinkParts) {
    this.id = parts.id;
    this.known = parts.known;
    this.passport = parts.passport;
    this.isOurs = parts.isOurs;
    this.connection = parts.connection;
    this.#parts = parts;
    this.#requests = new OpenRequests((ms) => parts.traffic.answered(ms));
  }

  /** Everything that the peer said and says goes to the listener from now on. */
  start(): void {
    if (this.#isClosed) return;
    const { data, port, bulk: told, budgets, log, control } = this.#parts;
    const requests = this.#requests;
    const received = {
      pauseMs: (bytes: number) => budgets.received(bytes),
      run: (request: number, chunk: number, bytes: Uint8Array, release: () => void) =>
        this.#received(request, chunk, bytes, release),
      ended: (error: unknown) => this.close(error),
    };
    this.#stream = new StreamLane(data, {
      ...received,
      expects: ({ request, chunk, length }) => requests.expects(0, request, chunk, length),
      requestEnded: (request) => {
        const end = requests.end(0, request);
        if (end === "refused") this.#requestEnded(request);
        if (end === "lost") this.#requestLost(request);
      },
    });
    this.#lanes = new LinkLanes({
      peerId: this.known.peerId,
      stream: this.#stream,
      port,
      told,
      requests,
      log,
      announce: (message) => this.send(message),
      requestLost: (request) => this.#requestLost(request),
      listener: { ...received, requestEnded: (request) => this.#requestEnded(request) },
    });
    // Last: what the peer said already may be answered on the lanes.
    control.listen({
      message: (message) => this.#heard(message),
      ended: (error) => this.close(error),
    });
  }

  /** Requests of ours that aren't answered yet. */
  get requestsCount(): number {
    return this.#requests.size;
  }

  send(message: ControlMessage): void {
    if (!this.#isClosed) this.#parts.control.send(message);
  }

  /** Asks for chunks; `chunkBytes` are the manifest's. */
  ask(request: Omit<RequestMessage, "type" | "lane">, chunkBytes: Uint32Array): void {
    if (this.#isClosed || this.#lanes === undefined) return;
    const lane = this.#lanes.laneToAsk();
    const { request: id, firstChunk, count } = request;
    this.#requests.open(id, firstChunk, count, chunkBytes, lane);
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
    this.#parts.control.abort(error);
    if (this.#stream === undefined) this.#parts.data.abort(new Error("the link is closed"));
    else this.#stream.abort(error);
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

  #received(request: number, firstChunk: number, bytes: Uint8Array, release: () => void): void {
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
