// How a libp2p node is made here: TCP, noise, yamux, identify, and limits for a burst of joins. The
// library's own limits take 5 connections a second from one address and reset the rest, which is what a
// rack behind one gateway, or a test on one machine, looks like; ours bound what may be open instead.
import { noise } from "@chainsafe/libp2p-noise";
import { yamux } from "@chainsafe/libp2p-yamux";
import { privateKeyFromRaw } from "@libp2p/crypto/keys";
import { identify } from "@libp2p/identify";
import type { Libp2p } from "@libp2p/interface";
import { tcp } from "@libp2p/tcp";
import {
  dialMsMax,
  pendingConnectionsMax,
  streamReadBytesMax,
  streamWindowBytesMax,
} from "@shoal/core/limits";
import { kibibyte, minuteMs } from "@shoal/core/units";
import { createLibp2p } from "libp2p";
import type { Components, Discovery } from "./discovery.ts";

export interface Libp2pOptions {
  /** 64 bytes: the secret seed and the public key. */
  readonly secretKey: Uint8Array;
  readonly listen: readonly string[];
  readonly linksMax: number;
  readonly discovery: Discovery;
}

const streamOptions = {
  initialStreamWindowSize: 256 * kibibyte,
  maxStreamWindowSize: streamWindowBytesMax,
  // Reached only by a stream that nobody reads; larger than a window, so that pausing is safe.
  maxReadBufferLength: streamReadBytesMax,
  // Links that wait for something to happen are silent, and ended by the scheduler when not needed.
  inactivityTimeout: 24 * 60 * minuteMs,
};

/** A started node. Throws when it can't listen. */
export async function createLibp2pNode(options: Libp2pOptions): Promise<Libp2p> {
  const { secretKey, listen, linksMax, discovery } = options;
  return createLibp2p({
    privateKey: privateKeyFromRaw(secretKey),
    addresses: { listen: [...listen] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({ streamOptions, maxInboundStreams: 32, maxOutboundStreams: 32 })],
    services: {
      identify: identify(),
      discovery: (components: Components) => discovery.attach(components),
    },
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
