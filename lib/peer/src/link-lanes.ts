// What carries chunks on a link, each way. What we ask for comes by a bulk socket that we opened; the first
// requests of a link wait for it a little. While there is none, because its port can't be reached or the
// socket was lost, a libp2p stream carries on, and the port is tried again later. What the peer asks for
// goes out on the lane that it named.
//
// Invariant: a request's chunks all come on one lane. When a bulk socket is lost, what it owed is taken
// for ended; the other side ends it, too, on the stream.
import { randomBytes } from "node:crypto";
import { ShoalError } from "@shoal/core/error";
import type { PeerId } from "@shoal/core/ids";
import {
  bulkHoldMsMax,
  bulkRetryMsMax,
  bulkRetryMsMin,
  bulkSilentMs,
  bulkStableMs,
  uploadsQueuedPerLinkMax,
} from "@shoal/core/limits";
import type { Millis } from "@shoal/core/units";
import { laneTokenBytes } from "@shoal/core/wire/message-codec";
import type { LaneMessage } from "@shoal/core/wire/messages";
import type { Log } from "@shoal/daemon/log";
import { blockBytes } from "@shoal/store/direct-io";
import type { BulkAddress } from "./bulk/bulk-address.ts";
import type { BulkPort } from "./bulk/bulk-port.ts";
import type { BulkReceiver } from "./bulk/bulk-receiver.ts";
import type { BulkSender } from "./bulk/bulk-sender.ts";
import type { ChunkLane, LaneListener } from "./chunk-lane.ts";
import type { OpenRequests } from "./open-requests.ts";
import type { StreamLane } from "./stream-lane.ts";

export interface LinkLanesDeps {
  readonly peerId: PeerId;
  readonly stream: StreamLane;
  readonly port: BulkPort;
  /** What the peer told of its bulk port. */
  readonly told: readonly string[];
  readonly requests: OpenRequests;
  readonly log: Log;
  announce(message: LaneMessage): void;
  /** What owed this request is gone. */
  requestLost(request: number): void;
  /** What waits for the first bulk socket may go on: it is there, or has failed, or takes long. */
  settled(): void;
  /** Of the bulk sockets; `ended` means that the peer broke the protocol. */
  readonly listener: Omit<LaneListener, "expects" | "phase">;
}

interface Incoming {
  readonly lane: number;
  readonly receiver: BulkReceiver;
  readonly openedMs: Millis;
}

export class LinkLanes {
  readonly #deps: LinkLanesDeps;
  readonly #addresses: readonly BulkAddress[];
  #lastLane = 0;
  /** The socket that we opened, on which the peer sends. */
  #incoming: Incoming | undefined;
  #isDialing = false;
  /** While requests wait for the first bulk socket. */
  #hold: NodeJS.Timeout | undefined;
  #failures = 0;
  #retryMs: Millis = 0;
  readonly #watch: NodeJS.Timeout;
  #isProbing = false;
  /** The socket that the peer opened, on which we send. */
  #outgoing: { readonly lane: number; readonly sender: BulkSender } | undefined;
  #forget: () => void = () => undefined;
  /** Where the peer wants its requests answered, those on the stream left out. */
  readonly #asked: Map<number, number> = new Map();
  #isClosed = false;

  constructor(deps: LinkLanesDeps) {
    this.#deps = deps;
    this.#addresses = deps.port.usable(deps.told);
    this.#watch = setInterval(() => void this.#lookForSilence(), bulkSilentMs);
  }

  /** The lane for what is asked next, or undefined: it waits. Sees to it that there is a bulk socket. */
  laneToAsk(): number | undefined {
    if (this.#incoming !== undefined) return this.#incoming.lane;
    const mayDial = this.#addresses.length > 0 && !this.#isDialing && !this.#isClosed;
    if (mayDial && performance.now() >= this.#retryMs) {
      // A stream costs several times the work, for both.
      if (this.#lastLane === 0) this.#hold = setTimeout(() => this.#settle(), bulkHoldMsMax);
      void this.#dial();
    }
    return this.#hold === undefined ? 0 : undefined;
  }

  /** The peer asked for something on a lane. Throws when it asks for more than it may. */
  asked(request: number, lane: number): void {
    if (lane === 0) {
      this.#asked.delete(request);
      return;
    }
    this.#asked.set(request, lane);
    if (this.#asked.size <= 2 * uploadsQueuedPerLinkMax) return;
    throw new ShoalError("message_invalid", "too many requests", { blame: "remote" });
  }

  /** The lane that a request of the peer is answered on; undefined when it is gone. */
  laneOf(request: number): ChunkLane | undefined {
    const lane = this.#asked.get(request);
    if (lane === undefined) return this.#deps.stream;
    return this.#outgoing?.lane === lane ? this.#outgoing.sender : undefined;
  }

  isStream(lane: ChunkLane): boolean {
    return lane === this.#deps.stream;
  }

  /** All chunks of a request were sent. */
  answered(request: number): void {
    this.#asked.delete(request);
  }

  end(request: number): void {
    const lane = this.laneOf(request) ?? this.#deps.stream;
    this.#asked.delete(request);
    lane.end(request);
  }

  /** The peer opens a bulk socket, or takes the last one back. */
  announced({ lane, token }: LaneMessage): void {
    this.#forget();
    if (lane === 0) {
      this.#outgoing?.sender.abort(new Error("taken back by the peer"));
      return;
    }
    this.#forget = this.#deps.port.expect(this.#deps.peerId, token, (create) => {
      this.#outgoing?.sender.abort(new Error("the peer opened another"));
      const sender = create(() => {
        if (this.#outgoing?.sender === sender) this.#outgoing = undefined;
      });
      this.#outgoing = { lane, sender };
      if (this.#isClosed) sender.abort(new Error("the link is closed"));
    });
  }

  close(reason: unknown): void {
    this.#isClosed = true;
    clearInterval(this.#watch);
    clearTimeout(this.#hold);
    this.#forget();
    this.#outgoing?.sender.abort(reason);
    this.#incoming?.receiver.close();
    this.#incoming = undefined;
  }

  async #dial(): Promise<void> {
    const { peerId, port, log } = this.#deps;
    this.#isDialing = true;
    this.#lastLane += 1;
    const lane = this.#lastLane;
    const token = randomBytes(laneTokenBytes);
    this.#deps.announce({ type: "lane", lane, token });
    try {
      const listener = this.#listenTo(lane);
      const receiver = await port.dial(this.#addresses, { peerId, token, listener });
      if (this.#isClosed) receiver.close();
      else this.#incoming = { lane, receiver, openedMs: performance.now() };
    } catch (error) {
      log.debug({ error, peer: peerId }, "bulk port not reached; a stream carries on");
      this.#failed();
    } finally {
      this.#isDialing = false;
      this.#settle();
    }
  }

  #settle(): void {
    if (this.#hold === undefined) return;
    clearTimeout(this.#hold);
    this.#hold = undefined;
    if (!this.#isClosed) this.#deps.settled();
  }

  #listenTo(lane: number): LaneListener {
    const { listener, requests } = this.#deps;
    return {
      expects: ({ request, chunk, length }) => {
        if (requests.expects(lane, request, chunk, length)) return true;
        // Ended on the stream in the meantime: not a fault, but what follows here is of no use.
        if (requests.isVoided(request)) throw lost("what a request owed is late");
        return false;
      },
      phase: (request) => requests.offsetOf(request) % blockBytes,
      pauseMs: (bytes) => listener.pauseMs(bytes),
      run: (request, chunk, bytes, release) => listener.run(request, chunk, bytes, release),
      requestEnded: (request) => {
        if (requests.end(lane, request) === "refused") listener.requestEnded(request);
      },
      ended: (error) => this.#lost(lane, error),
    };
  }

  #failed(): void {
    const pauseMs = Math.min(bulkRetryMsMax, bulkRetryMsMin * 2 ** Math.min(this.#failures, 16));
    this.#failures += 1;
    this.#retryMs = performance.now() + pauseMs;
  }

  #lost(lane: number, error: unknown): void {
    const incoming = this.#incoming;
    if (incoming?.lane !== lane) return;
    this.#incoming = undefined;
    incoming.receiver.close();
    const { requests, listener, log, peerId } = this.#deps;
    if (error instanceof ShoalError && error.code === "data_frame_invalid") {
      listener.ended(error);
      return;
    }
    log.debug({ error, peer: peerId }, "bulk socket lost; a stream carries on");
    if (performance.now() - incoming.openedMs >= bulkStableMs) this.#failures = 0;
    this.#failed();
    this.#deps.announce({ type: "lane", lane: 0, token: new Uint8Array(0) });
    for (const request of requests.voidLane(lane)) this.#deps.requestLost(request);
  }

  /** A socket may be silent because the peer has others to serve, or because somebody cut the wire. */
  async #lookForSilence(): Promise<void> {
    const incoming = this.#incoming;
    if (incoming === undefined || this.#isProbing) return;
    const { lane, receiver } = incoming;
    if (performance.now() - receiver.heardMs < bulkSilentMs) return;
    if (!this.#deps.requests.isOwedBy(lane)) return;
    this.#isProbing = true;
    const isReachable = await this.#deps.port.isReachable(this.#addresses);
    this.#isProbing = false;
    const isSilent = performance.now() - receiver.heardMs >= bulkSilentMs;
    if (!isReachable && isSilent) this.#lost(lane, lost("the bulk port doesn't answer any more"));
  }
}

function lost(message: string): ShoalError {
  return new ShoalError("connection_failed", message, { blame: "environment", retryable: true });
}
