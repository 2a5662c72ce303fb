// How a libp2p node is made here: TCP with TLS, yamux, and limits for a burst of joins. The library's own
// limits take 5 connections a second from one address and reset the rest, which is what a rack behind one
// gateway, or a test on one machine, looks like; ours bound what may be open instead. What a link doesn't
// need is left out, because each costs streams and messages on every link: identify (a hello says as
// much), pings, and the library's own log.
import { privateKeyFromRaw } from "@libp2p/crypto/keys";
import type { Libp2p } from "@libp2p/interface";
import {
  dialMsMax,
  pendingConnectionsMax,
  streamReadBytesMax,
  streamWindowBytesMax,
} from "@shoal/core/limits";
import { minuteMs } from "@shoal/core/units";
import { createLibp2p } from "libp2p";
import type { Certificate } from "@shoal/trust/certificate";
import type { Components, Discovery } from "./discovery.ts";
import { silentLogger } from "./transport/silent-logger.ts";
import { TlsTransport } from "./transport/tls-transport.ts";
import { quietYamux } from "./transport/quiet-yamux.ts";

export interface Libp2pOptions {
  /** 64 bytes: the secret seed and the public key. */
  readonly secretKey: Uint8Array;
  /** The same key's. */
  readonly certificate: Certificate;
  readonly listen: readonly string[];
  readonly linksMax: number;
  readonly discovery: Discovery;
}

const streamOptions = {
  // It doesn't grow without pings.
  initialStreamWindowSize: streamWindowBytesMax,
  maxStreamWindowSize: streamWindowBytesMax,
  // Reached only by a stream that nobody reads; larger than a window, so that pausing is safe.
  maxReadBufferLength: streamReadBytesMax,
  // Links that wait for something to happen are silent, and ended by the scheduler when not needed.
  inactivityTimeout: 24 * 60 * minuteMs,
};

/** A started node. Throws when it can't listen. */
export async function createLibp2pNode(options: Libp2pOptions): Promise<Libp2p> {
  const { secretKey, certificate, listen, linksMax, discovery } = options;
  const muxer = quietYamux(streamOptions);
  return createLibp2p({
    privateKey: privateKeyFromRaw(secretKey),
    addresses: { listen: [...listen] },
    logger: silentLogger,
    transports: [({ logger }) => new TlsTransport({ certificate, muxer }, logger)],
    services: { discovery: (components: Components) => discovery.attach(components) },
    // It pings on a deadline of its own and ends connections of a peer that is merely busy; the
    // scheduler watches progress instead.
    connectionMonitor: { enabled: false },
    connectionManager: {
      maxConnections: 2 * linksMax,
      maxIncomingPendingConnections: pendingConnectionsMax,
      inboundConnectionThreshold: linksMax,
      maxParallelDials: linksMax,
      dialTimeout: dialMsMax,
      addressDialTimeout: dialMsMax,
      inboundUpgradeTimeout: dialMsMax,
      reconnectRetries: 0,
    },
  });
}
