// An open link to a peer that has shown its passport: control stream, lane for chunks, and what was
// asked for on it. Turns wire messages into inputs of the scheduler, one for one, and decides nothing.
import type { Connection, Stream } from "@libp2p/interface";
import { remoteError } from "@shoal/core/error";
import type { LinkId } from "@shoal/core/swarm/events";
import type { ControlMessage, KnownPeer } from "@shoal/core/wire/messages";
import type { Passport } from "@shoal/trust/passport";
import type { ChunkLane } from "./chunk-lane.ts";
import type { ControlStream } from "./control-stream.ts";
import { OpenRequests } from "./open-requests.ts";
import { StreamLane } from "./stream-lane.ts";

export interface LinkListener {
  message(link: PeerLink, message: ControlMessage): void;
  chunk(link: PeerLink, request: number, chunk: number, bytes: Uint8Array): void;
  requestEnded(link: PeerLink, request: number): void;
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
  readonly listener: LinkListener;
}

export class PeerLink {
  readonly id: LinkId;
  readonly known: KnownPeer;
  readonly passport: Passport;
  readonly isOurs: boolean;
  readonly openedAtMs: number = Date.now();
  readonly connection: Connection;
  readonly requests: OpenRequests = new OpenRequests();
  readonly #control: ControlStream;
  readonly #data: Stream;
  readonly #listener: LinkListener;
  #lane: ChunkLane | undefined;
  #isClosed = false;

  constructor({ id, known, passport, isOurs, connection, control, data, listener }: LinkParts) {
    this.id = id;
    this.known = known;
    this.passport = passport;
    this.isOurs = isOurs;
    this.connection = connection;
    this.#control = control;
    this.#data = data;
    this.#listener = listener;
  }

  /** Everything that the peer said and says goes to the listener from now on. */
  start(): void {
    const listener = this.#listener;
    if (this.#isClosed) return;
    this.#lane = new StreamLane(this.#data, {
      expects: ({ request, chunk, length }) => this.requests.expects(request, chunk, length),
      chunk: (request, chunk, bytes) => {
        this.requests.advance(request);
        if (!this.#isClosed) listener.chunk(this, request, chunk, bytes);
      },
      requestEnded: (request) => {
        this.requests.close(request);
        if (!this.#isClosed) listener.requestEnded(this, request);
      },
      ended: (error) => this.close(error),
    });
    // Last: what the peer said already may be answered on the lane.
    this.#control.listen({
      message: (message) => {
        if (!this.#isClosed) listener.message(this, message);
      },
      ended: (error) => this.close(error),
    });
  }

  send(message: ControlMessage): void {
    if (!this.#isClosed) this.#control.send(message);
  }

  async sendChunk(request: number, chunk: number, bytes: Uint8Array): Promise<void> {
    if (this.#isClosed || this.#lane === undefined) {
      throw remoteError("connection_failed", "the link is closed");
    }
    await this.#lane.send(request, chunk, bytes);
  }

  endRequest(request: number): void {
    if (!this.#isClosed) this.#lane?.end(request);
  }

  /** Ends both streams. Idempotent; the listener hears of it once, whoever closed. */
  close(reason: unknown): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const error = reason ?? new Error("the peer closed the link");
    this.#control.abort(error);
    if (this.#lane === undefined) this.#data.abort(new Error("the link is closed"));
    else this.#lane.abort(error);
    this.#listener.closed(this, reason);
  }
}
