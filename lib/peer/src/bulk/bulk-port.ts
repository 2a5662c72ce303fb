// The node's side of bulk sockets: listens, and hands each socket to the link whose token it opens with.
// A socket may come before its link's announcement, which takes another way; it waits a little. Both are
// bounded in number and in time.
import { createServer as createPlainServer, connect, type Server, type Socket } from "node:net";
import {
  createSecureContext,
  createServer as createTlsServer,
  type SecureContext,
  type TlsOptions,
  TLSSocket,
} from "node:tls";
import { once } from "node:events";
import { digest, toHex } from "@shoal/core/digest";
import { ShoalError } from "@shoal/core/error";
import type { PeerId } from "@shoal/core/ids";
import { bulkOpenMsMax, bulkPendingMax, swarmAddressesMax } from "@shoal/core/limits";
import type { Bytes, Millis } from "@shoal/core/units";
import { laneTokenBytes } from "@shoal/core/wire/message-codec";
import type { Log } from "@shoal/daemon/log";
import type { Certificate } from "@shoal/trust/certificate";
import type { BulkConfig } from "../bulk-config.ts";
import { BufferPool } from "./buffer-pool.ts";
import {
  type BulkAddress,
  readBulkAddress,
  requireBulkAddress,
  tellBulkAddress,
} from "./bulk-address.ts";
import { type BulkDial, BulkReceiver } from "./bulk-receiver.ts";
import { BulkSender } from "./bulk-sender.ts";
import { peerOf, tlsOptionsOf } from "./bulk-tls.ts";

export interface BulkBounds {
  /** Buffers that are kept ready. */
  readonly poolBytesMax: Bytes;
  /** How long a socket may take to be accepted; what limits.ts says when absent. */
  readonly openMsMax?: Millis;
}

/** What a link waits for after it was told of a token. */
interface Expected {
  readonly peerId: PeerId;
  readonly token: Uint8Array;
  readonly accept: (socket: Socket) => void;
}

/** A socket that hasn't found its link. */
interface Pending {
  readonly socket: Socket;
  /** It has, or is gone. */
  readonly settle: () => void;
}

export class BulkPort {
  readonly #config: BulkConfig;
  readonly #log: Log;
  readonly #tls: TlsOptions;
  readonly #context: SecureContext;
  readonly #servers: Server[] = [];
  readonly #pool: BufferPool;
  readonly #openMsMax: Millis;
  readonly #sockets: Set<Socket> = new Set();
  /** By the opening that is awaited. */
  readonly #expected: Map<string, Expected> = new Map();
  /** Openings that nobody has announced yet. */
  readonly #early: Map<string, Pending> = new Map();
  #pendingCount = 0;
  #told: readonly string[] = [];

  constructor(
    deps: { readonly log: Log; readonly certificate: Certificate },
    config: BulkConfig,
    { poolBytesMax, openMsMax = bulkOpenMsMax }: BulkBounds,
  ) {
    this.#pool = new BufferPool(poolBytesMax);
    this.#openMsMax = openMsMax;
    this.#config = config;
    this.#log = deps.log;
    this.#tls = tlsOptionsOf(deps.certificate);
    this.#context = createSecureContext(this.#tls);
  }

  /** Rejects with `swarm_listen_failed`. */
  async start(): Promise<void> {
    const told: string[] = [];
    for (const text of this.#config.listen) {
      const { host, port } = requireBulkAddress(text);
      const server = this.#createServer();
      this.#servers.push(server);
      try {
        server.listen({ host, port, ipv6Only: true });
        await once(server, "listening");
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new ShoalError("swarm_listen_failed", `can't listen on ${text}: ${reason}`, {
          blame: "environment",
          cause,
        });
      }
      const bound = server.address();
      const real = typeof bound === "object" && bound !== null ? bound.port : port;
      told.push(...tellBulkAddress({ host, port: real, isEncrypted: this.#config.isEncrypted }));
    }
    this.#told = (this.#config.advertised ?? told).slice(0, swarmAddressesMax);
  }

  /** What others are told. */
  addresses(): readonly string[] {
    return this.#told;
  }

  /** Of what a peer told, the ports that speak as we do. */
  usable(told: readonly string[]): readonly BulkAddress[] {
    return told
      .map(readBulkAddress)
      .filter((address) => address?.isEncrypted === this.#config.isEncrypted)
      .filter((address) => address !== undefined);
  }

  /** Opens a socket on which the peer will send, at the first address that answers. */
  async dial(addresses: readonly BulkAddress[], dial: BulkDial): Promise<BulkReceiver> {
    let failure: unknown = new Error("no address");
    for (const address of addresses) {
      const receiver = new BulkReceiver(
        { context: this.#context, pool: this.#pool, openMsMax: this.#openMsMax },
        address,
        dial,
      );
      try {
        await receiver.opened();
        return receiver;
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  /** Whether a peer's port takes connections at all. */
  async isReachable(addresses: readonly BulkAddress[]): Promise<boolean> {
    for (const { host, port } of addresses) {
      const socket = connect({ host, port, timeout: this.#openMsMax / 2 });
      socket.on("error", () => undefined);
      const ends = ["connect", "timeout", "close"].map(async (event) => {
        await once(socket, event);
        return event;
      });
      const first = await Promise.race(ends).catch(() => "error");
      for (const end of ends) end.catch(() => undefined);
      socket.destroy();
      if (first === "connect") return true;
    }
    return false;
  }

  /** A link was told of a token: the socket that opens with it is that link's. Answers how to forget it. */
  expect(
    peerId: PeerId,
    token: Uint8Array,
    accepted: (create: (ended: (error: unknown) => void) => BulkSender) => void,
  ): () => void {
    const opening = toHex(digest(token));
    const forget = (): void => {
      clearTimeout(timer);
      this.#expected.delete(opening);
    };
    const timer = setTimeout(forget, this.#openMsMax);
    const accept = (socket: Socket): void => {
      forget();
      socket.write(token);
      accepted((ended) => new BulkSender(socket, this.#pool, ended));
    };
    this.#expected.set(opening, { peerId, token, accept });
    const early = this.#early.get(opening);
    this.#early.delete(opening);
    if (early !== undefined) this.#match(early, opening);
    return forget;
  }

  async stop(): Promise<void> {
    const closed = this.#servers.map(async (server) => {
      if (!server.listening) return;
      const closing = once(server, "close");
      server.close();
      await closing;
    });
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closed);
  }

  #createServer(): Server {
    const take = (socket: Socket): void => this.#take(socket);
    const server = this.#config.isEncrypted
      ? createTlsServer({ ...this.#tls, handshakeTimeout: this.#openMsMax })
      : createPlainServer(take);
    if (this.#config.isEncrypted) server.on("secureConnection", take);
    // Also those that never finish a handshake.
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    server.on("tlsClientError", (_error: Error, socket: Socket) => socket.destroy());
    return server;
  }

  /** A socket with its certificate; which link's it is, its opening says. */
  #take(socket: Socket): void {
    socket.on("error", () => undefined);
    if (this.#pendingCount >= bulkPendingMax) {
      socket.destroy();
      return;
    }
    this.#pendingCount += 1;
    const timer = setTimeout(() => socket.destroy(), this.#openMsMax);
    const opening = new Uint8Array(laneTokenBytes);
    let filled = 0;
    const read = (part: Uint8Array): void => {
      if (filled + part.length > opening.length) {
        socket.destroy();
        return;
      }
      opening.set(part, filled);
      filled += part.length;
      if (filled === opening.length) this.#match({ socket, settle }, toHex(opening));
    };
    const settle = (): void => {
      clearTimeout(timer);
      socket.off("data", read).off("close", settle);
      this.#pendingCount -= 1;
    };
    socket.on("data", read).on("close", settle).setNoDelay(true);
  }

  #match(pending: Pending, opening: string): void {
    const { socket, settle } = pending;
    const expected = this.#expected.get(opening);
    if (expected === undefined) {
      this.#early.set(opening, pending);
      socket.once("close", () => {
        if (this.#early.get(opening) === pending) this.#early.delete(opening);
      });
      return;
    }
    if (socket instanceof TLSSocket && peerOf(socket) !== expected.peerId) {
      this.#log.warn({ peer: expected.peerId }, "a bulk socket with another certificate");
      socket.destroy();
      return;
    }
    settle();
    expected.accept(socket);
  }
}
