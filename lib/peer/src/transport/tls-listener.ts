// The listening end of links: takes connections whose TLS handshake has proven an Ed25519 key. So many
// handshakes are under way at once; who comes beyond is turned away, and dials again later.
import { once } from "node:events";
import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { type Listener, type ListenerEvents, TypedEventEmitter } from "@libp2p/interface";
import { getNetConfig, getThinWaistAddresses } from "@libp2p/utils";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import type { PeerId } from "@shoal/core/ids";
import { dialMsMax, pendingConnectionsMax } from "@shoal/core/limits";
import type { Certificate } from "@shoal/trust/certificate";
import { peerOf, tlsOptionsOf } from "../bulk/bulk-tls.ts";

/** A connection of a proven peer; the listener ends it when this rejects. */
export type TakeConnection = (socket: TLSSocket, peer: PeerId, from: Multiaddr) => Promise<void>;

export class TlsListener extends TypedEventEmitter<ListenerEvents> implements Listener {
  readonly #server: Server;
  readonly #take: TakeConnection;
  readonly #sockets: Set<Socket> = new Set();
  /** Of these, whose handshake is done. */
  readonly #secure: Set<TLSSocket> = new Set();
  #listenedOn: Multiaddr | undefined;

  constructor(certificate: Certificate, take: TakeConnection) {
    super();
    this.#take = take;
    const options = { ...tlsOptionsOf(certificate), handshakeTimeout: dialMsMax };
    this.#server = createServer(options, (socket) => this.#secured(socket));
    this.#server.on("connection", (socket: Socket) => this.#begun(socket));
    this.#server.on("tlsClientError", (_error: Error, socket: Socket) => socket.destroy());
    this.#server.on("listening", () => this.safeDispatchEvent("listening"));
    this.#server.on("close", () => this.safeDispatchEvent("close"));
  }

  async listen(address: Multiaddr): Promise<void> {
    const { host, port } = getNetConfig(address);
    this.#server.listen({ host, port: port ?? 0, ipv6Only: true });
    await once(this.#server, "listening");
    this.#server.on("error", (detail) => this.safeDispatchEvent("error", { detail }));
    this.#listenedOn = address;
  }

  getAddrs(): Multiaddr[] {
    const bound = this.#server.address();
    if (this.#listenedOn === undefined || bound === null || typeof bound === "string") return [];
    return getThinWaistAddresses(this.#listenedOn, bound.port);
  }

  updateAnnounceAddrs(): void {
    // What is listened on doesn't depend on what is told.
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #begun(socket: Socket): void {
    if (this.#sockets.size - this.#secure.size >= pendingConnectionsMax) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  }

  #secured(socket: TLSSocket): void {
    socket.on("error", () => undefined);
    const { remoteAddress, remotePort, remoteFamily } = socket;
    const peer = peerOf(socket);
    if (peer === undefined || remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    this.#secure.add(socket);
    socket.once("close", () => this.#secure.delete(socket));
    const ip = remoteFamily === "IPv6" ? "ip6" : "ip4";
    const from = multiaddr(`/${ip}/${remoteAddress.replace(/%.*$/, "")}/tcp/${remotePort}`);
    this.#take(socket, peer, from).catch(() => socket.destroy());
  }
}
