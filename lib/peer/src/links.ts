// Links to other members: dialing and being dialed, one link for each pair, and no connection without
// one. Which peers to dial and which links to end is the scheduler's business.
//
// When two peers dial each other at once, the control stream of the smaller peer id stays, so both ends
// keep the same one. A link that is no newborn gives way to a new one: the peer has lost it.
import type { Connection, Libp2p, Stream } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import { ShoalError } from "@shoal/core/error";
import type { PeerId } from "@shoal/core/ids";
import { dialMsMax, helloMsMax } from "@shoal/core/limits";
import type { KnownPeer } from "@shoal/core/wire/messages";
import type { Log } from "@shoal/daemon/log";
import { ControlStream } from "./control-stream.ts";
import { greet, type HandshakeDeps } from "./handshake.ts";
import type { Budgets } from "./budgets.ts";
import type { BulkPort } from "./bulk/bulk-port.ts";
import { type LinkListener, type LinkParts, PeerLink } from "./peer-link.ts";
import type { Traffic } from "./traffic.ts";

const controlProtocol = "/shoal/control/1";
const dataProtocol = "/shoal/data/1";

export interface LinksDeps {
  readonly libp2p: Libp2p;
  readonly handshake: HandshakeDeps;
  readonly port: BulkPort;
  readonly budgets: Budgets;
  readonly traffic: Traffic;
  readonly log: Log;
  /** A link is open; what the peer says follows. May close it at once. */
  opened(link: PeerLink): void;
  readonly listener: LinkListener;
}

interface Dial {
  readonly abort: AbortController;
  readonly ended: Promise<void>;
}

export class Links {
  readonly #deps: LinksDeps;
  readonly #self: PeerId;
  readonly #byPeer: Map<PeerId, PeerLink> = new Map();
  readonly #dials: Map<PeerId, Dial> = new Map();
  /** Connections on which a caller says hello. */
  readonly #greeting: Set<string> = new Set();
  readonly #timers: Set<NodeJS.Timeout> = new Set();
  #lastId = 0;
  #isStopped = false;

  constructor(deps: LinksDeps) {
    this.#deps = deps;
    this.#self = deps.libp2p.peerId.toString();
  }

  async start(): Promise<void> {
    const { libp2p } = this.#deps;
    libp2p.addEventListener("connection:open", ({ detail }) => this.#expectLink(detail));
    await libp2p.handle(controlProtocol, (stream, connection) => {
      this.#greetCaller(stream, connection).catch((error: unknown) => {
        this.#deps.log.debug({ error, peer: connection.remotePeer.toString() }, "caller refused");
      });
    });
    await libp2p.handle(dataProtocol, (stream, connection) => {
      const link = this.#byPeer.get(connection.remotePeer.toString());
      if (link?.connection.id === connection.id) link.receiveOn(stream);
      else stream.abort(new Error("a data stream without a link"));
    });
  }

  /** The connection of an open link: its peer has shown a valid passport. */
  linked(peerId: PeerId): Connection | undefined {
    return this.#byPeer.get(peerId)?.connection;
  }

  /** As `linked`; opens a link when there is none. Rejects when that comes to nothing. */
  async open(peerId: PeerId, addresses: readonly string[]): Promise<Connection> {
    if (this.linked(peerId) === undefined) {
      // A dial that came to nothing may have lost against one of the peer's.
      await (this.#dials.get(peerId)?.ended ?? this.dial(peerId, addresses)).catch(() => undefined);
    }
    const connection = this.linked(peerId);
    if (connection !== undefined) return connection;
    throw new ShoalError("connection_failed", `no link to ${peerId}`, {
      blame: "environment",
      retryable: true,
    });
  }

  /** Who is linked now. */
  peers(): readonly KnownPeer[] {
    return [...this.#byPeer.values()].map(({ known }) => known);
  }

  /** Opens a link, unless the peer opens one first. Rejects when neither happens. */
  async dial(peerId: PeerId, addresses: readonly string[]): Promise<void> {
    const abort = new AbortController();
    const ended = this.#dial(peerId, addresses, abort);
    ended.catch(() => undefined); // Whoever waits for the same dial may come later.
    this.#dials.set(peerId, { abort, ended });
    return ended;
  }

  async #dial(peerId: PeerId, addresses: readonly string[], abort: AbortController): Promise<void> {
    const { libp2p, handshake } = this.#deps;
    const signal = AbortSignal.any([abort.signal, AbortSignal.timeout(dialMsMax + helloMsMax)]);
    let control: ControlStream | undefined;
    try {
      const targets = addresses.map((address) => multiaddr(`${address}/p2p/${peerId}`));
      const connection = await libp2p.dial(targets, { signal });
      control = new ControlStream(await connection.newStream(controlProtocol, { signal }));
      const greeted = await greet(control, peerId, handshake);
      signal.throwIfAborted();
      this.#dials.delete(peerId);
      this.#register({ ...greeted, isOurs: true, connection, control });
    } catch (error) {
      control?.abort(error);
      throw error;
    } finally {
      // The connection stays a little (see #expectLink): the peer may be opening its link on it.
      if (this.#dials.get(peerId)?.abort === abort) this.#dials.delete(peerId);
    }
  }

  /** Ends all links and dials; none is opened any more. */
  stop(): void {
    this.#isStopped = true;
    const reason = new ShoalError("stopping", "the node stops", { blame: "local" });
    for (const { abort } of this.#dials.values()) abort.abort(reason);
    for (const link of [...this.#byPeer.values()]) link.close(reason);
    for (const timer of this.#timers) clearTimeout(timer);
  }

  async #greetCaller(stream: Stream, connection: Connection): Promise<void> {
    const peerId = connection.remotePeer.toString();
    const control = new ControlStream(stream);
    if (this.#dials.has(peerId) && this.#self < peerId) {
      control.abort(new Error("both dialed; the stream of the smaller peer id stays"));
      return;
    }
    this.#greeting.add(connection.id);
    try {
      const greeted = await greet(control, peerId, this.#deps.handshake);
      this.#register({ ...greeted, isOurs: false, connection, control });
    } catch (error) {
      control.abort(error);
      throw error;
    } finally {
      this.#greeting.delete(connection.id);
      this.#closeUnused(connection);
    }
  }

  #register(
    parts: Omit<LinkParts, "id" | "listener" | "port" | "budgets" | "traffic" | "log" | "openData">,
  ): void {
    const { peerId } = parts.known;
    const old = this.#byPeer.get(peerId);
    if (this.#isStopped || (old !== undefined && this.#isPreferred(old, parts.isOurs))) {
      throw new ShoalError("peer_refused", `there is a link to ${peerId} already`, {
        blame: "local",
      });
    }
    this.#lastId += 1;
    const { port, budgets, traffic, log } = this.#deps;
    const listener: LinkListener = {
      ...this.#deps.listener,
      closed: (link, error) => this.#closed(link, error),
    };
    const { connection } = parts;
    const link = new PeerLink({
      ...parts,
      openData: () =>
        connection.newStream(dataProtocol, { signal: AbortSignal.timeout(helloMsMax) }),
      port,
      budgets,
      traffic,
      log,
      id: this.#lastId,
      listener,
    });
    this.#byPeer.set(peerId, link);
    old?.close(new Error("the peer opened another link"));
    this.#dials.get(peerId)?.abort.abort(new Error("the peer dialed first"));
    this.#deps.opened(link);
    link.start();
  }

  #closed(link: PeerLink, error: unknown): void {
    const { peerId } = link.known;
    if (this.#byPeer.get(peerId) === link) this.#byPeer.delete(peerId);
    this.#deps.listener.closed(link, error);
    this.#closeUnused(link.connection);
  }

  /** Of two links that were opened at once, whether the old one stays. */
  #isPreferred(old: PeerLink, isOurs: boolean): boolean {
    if (Date.now() - old.openedAtMs > helloMsMax || old.isOurs === isOurs) return false;
    return old.isOurs === this.#self < old.known.peerId;
  }

  /** A connection on which no link is opened in time is closed: it has shown no passport. */
  #expectLink(connection: Connection): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!this.#closeUnused(connection)) this.#expectLink(connection);
    }, dialMsMax + helloMsMax);
    this.#timers.add(timer);
  }

  /** False while a link may still be opened on a connection. */
  #closeUnused(connection: Connection): boolean {
    const peerId = connection.remotePeer.toString();
    if (this.#byPeer.get(peerId)?.connection.id === connection.id) return true;
    if (this.#dials.has(peerId) || this.#greeting.has(connection.id)) return false;
    connection.abort(new Error("no link on this connection"));
    return true;
  }
}
