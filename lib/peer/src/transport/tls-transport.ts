// How libp2p's connections are made here: TCP with TLS 1.3 in Node's own code, both ends showing the
// certificate of their host's key, as on bulk sockets. libp2p is told whom the handshake has proven, and
// neither encrypts nor negotiates by itself. Its noise, in JavaScript, with five rounds of negotiation,
// cost some 45 ms of CPU for each link (both ends), and three times as much for each message.
import { connect, createSecureContext, type SecureContext, type TLSSocket } from "node:tls";
import {
  type ComponentLogger,
  type Connection,
  type CreateListenerOptions,
  type DialTransportOptions,
  type Listener,
  type StreamMuxerFactory,
  type Transport,
  transportSymbol,
  type UpgraderWithoutEncryptionOptions,
} from "@libp2p/interface";
import { peerIdFromString } from "@libp2p/peer-id";
import { getNetConfig } from "@libp2p/utils";
import type { Multiaddr } from "@multiformats/multiaddr";
import { remoteError } from "@shoal/core/error";
import type { PeerId } from "@shoal/core/ids";
import type { Certificate } from "@shoal/trust/certificate";
import { peerOf, tlsOptionsOf } from "../bulk/bulk-tls.ts";
import { TlsConnection } from "./tls-connection.ts";
import { TlsListener } from "./tls-listener.ts";

export interface TlsTransportOptions {
  readonly certificate: Certificate;
  readonly muxer: StreamMuxerFactory;
}

export class TlsTransport implements Transport {
  readonly [transportSymbol] = true;
  readonly [Symbol.toStringTag]: string = "shoal-tls";
  readonly #options: TlsTransportOptions;
  readonly #logger: ComponentLogger;
  readonly #context: SecureContext;

  constructor(options: TlsTransportOptions, logger: ComponentLogger) {
    this.#options = options;
    this.#logger = logger;
    this.#context = createSecureContext(tlsOptionsOf(options.certificate));
  }

  /** Rejects when nobody answers, or somebody else than the address names. */
  async dial(address: Multiaddr, options: DialTransportOptions): Promise<Connection> {
    const { signal, upgrader } = options;
    const { socket, peer } = await this.#connect(address, signal);
    const log = this.#logger.forComponent("shoal:link");
    const connection = new TlsConnection({
      ...{ socket, log },
      ...{ remoteAddr: address, direction: "outbound" },
    });
    try {
      return await upgrader.upgradeOutbound(connection, this.#proven(peer, signal));
    } catch (error) {
      connection.abort(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  }

  createListener({ upgrader }: CreateListenerOptions): Listener {
    return new TlsListener(this.#options.certificate, async (socket, peer, from) => {
      const log = this.#logger.forComponent("shoal:link");
      const connection = new TlsConnection({
        ...{ socket, log },
        ...{ remoteAddr: from, direction: "inbound" },
      });
      // Its end is the socket's: there is nothing else to wait for.
      const signal = new AbortController().signal;
      await upgrader.upgradeInbound(connection, this.#proven(peer, signal));
    });
  }

  listenFilter(addresses: Multiaddr[]): Multiaddr[] {
    return addresses.filter(isTcp);
  }

  dialFilter(addresses: Multiaddr[]): Multiaddr[] {
    return addresses.filter(isTcp);
  }

  #proven(peer: PeerId, signal: AbortSignal): UpgraderWithoutEncryptionOptions {
    const remotePeer = peerIdFromString(peer);
    const muxerFactory = this.#options.muxer;
    return { skipEncryption: true, skipProtection: true, remotePeer, muxerFactory, signal };
  }

  async #connect(
    address: Multiaddr,
    signal: AbortSignal,
  ): Promise<{ readonly socket: TLSSocket; readonly peer: PeerId }> {
    signal.throwIfAborted();
    const { host, port } = getNetConfig(address);
    const { promise, resolve, reject } = Promise.withResolvers<PeerId>();
    const socket = connect({
      ...{ host, port: port ?? 0, secureContext: this.#context },
      ...{ minVersion: "TLSv1.3", rejectUnauthorized: false },
    });
    const abort = (): void => reject(signal.reason);
    const end = (): void => reject(new Error("the connection ended before it was there"));
    signal.addEventListener("abort", abort);
    socket.once("error", reject).once("close", end);
    socket.once("secureConnect", () => {
      const peer = peerOf(socket);
      const wanted = address.getComponents().findLast(({ name }) => name === "p2p")?.value;
      if (peer !== undefined && (wanted === undefined || peer === wanted)) resolve(peer);
      else reject(remoteError("peer_id_wrong", `${wanted} was called, ${peer} answers`));
    });
    try {
      const peer = await promise;
      socket.off("error", reject).off("close", end);
      return { socket, peer };
    } catch (error) {
      socket.on("error", () => undefined).destroy();
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }
}

/** `/ip4/…/tcp/…` or `/ip6/…/tcp/…`, with or without the peer's id behind. */
function isTcp(address: Multiaddr): boolean {
  const [ip, tcp, peer, ...rest] = address.getComponents().map(({ name }) => name);
  const isAddress = (ip === "ip4" || ip === "ip6") && tcp === "tcp";
  return isAddress && (peer === undefined || peer === "p2p") && rest.length === 0;
}
