// HTTPS to one peer id: whoever else answers, or reads along, gets nothing. TLS 1.3 with the peer's
// self-signed certificate; names and authorities play no part. The key is checked before the first
// byte of a request, on every connection, and no session is ever resumed.
import { type TLSSocket, connect } from "node:tls";
import { ShoalError, remoteError } from "@shoal/core/error";
import type { PeerId } from "@shoal/core/ids";
import { answerSilentMsMax, connectMsMax, handshakeMsMax } from "@shoal/core/limits";
import { Agent, type RequestInit as UndiciRequestInit, type buildConnector, fetch } from "undici";
import { type Certificate, peerIdOfCertificate } from "./certificate.ts";

export interface PinnedFetchConfig {
  /** Whose key the server must hold. */
  readonly peerId: PeerId;
  /** Presented to the server; it then knows this side's peer id. */
  readonly certificate?: Certificate | undefined;
  /** Most connections open at once; 16 when absent. */
  readonly connectionsMax?: number;
  readonly connectMsMax?: number;
  /** Of the TLS handshake alone. */
  readonly handshakeMsMax?: number;
  /** Longest silence before the head of an answer and between parts of its body. */
  readonly answerSilentMsMax?: number;
}

/** Like the platform's `fetch`, for `https:` URLs of one server. */
export interface PinnedFetch {
  (url: string | URL, init?: RequestInit): Promise<Response>;
  /** Ends every connection and request. Idempotent. */
  close(): Promise<void>;
}

/**
 * A fetch that talks to this peer id only. Calls reject with ShoalError `peer_id_wrong` (somebody
 * else answered) or `connection_failed` (retryable), or with the reason of an aborted signal.
 */
export function createPinnedFetch(config: PinnedFetchConfig): PinnedFetch {
  const silentMs = config.answerSilentMsMax ?? answerSilentMsMax;
  const agent = new Agent({
    connect: createConnector(config),
    connections: config.connectionsMax ?? 16,
    headersTimeout: silentMs,
    bodyTimeout: silentMs,
    allowH2: false,
    pipelining: 1,
  });
  const pinned = async (url: string | URL, init: RequestInit = {}): Promise<Response> => {
    if (new URL(url).protocol !== "https:") {
      throw new ShoalError("connection_failed", "a pinned server is reached by https only", {
        blame: "local",
      });
    }
    // A redirect could lead elsewhere; no server of ours answers with one.
    const options = { ...init, dispatcher: agent, redirect: "error" } as UndiciRequestInit;
    try {
      return await fetch(url, options);
    } catch (error) {
      throw explain(error, init.signal ?? undefined);
    }
  };
  return Object.assign(pinned, { close: () => agent.destroy() });
}

function createConnector(config: PinnedFetchConfig): buildConnector.connector {
  const untilConnectedMs = config.connectMsMax ?? connectMsMax;
  const untilSecureMs = config.handshakeMsMax ?? handshakeMsMax;
  return ({ hostname, port }, callback) => {
    const socket = connect({
      host: hostname.replace(/^\[(.*)\]$/, "$1"),
      port: port === "" ? 443 : Number(port),
      minVersion: "TLSv1.3",
      ALPNProtocols: ["http/1.1"],
      // Authorities say nothing about our keys: `checkPeer` below is the check.
      rejectUnauthorized: false,
      ...config.certificate,
    });
    const giveUpAfter = (ms: number, what: string): NodeJS.Timeout =>
      setTimeout(() => socket.destroy(new Error(`no ${what} within ${ms} ms`)), ms);
    let timer = giveUpAfter(untilConnectedMs, "connection");
    const failed = (error: Error): void => {
      clearTimeout(timer);
      callback(error, null);
    };
    socket.setNoDelay(true).once("error", failed);
    socket.once("connect", () => {
      clearTimeout(timer);
      timer = giveUpAfter(untilSecureMs, "TLS handshake");
    });
    socket.once("secureConnect", () => {
      clearTimeout(timer);
      socket.off("error", failed);
      const wrong = checkPeer(socket, config.peerId);
      if (wrong === undefined) {
        callback(null, socket);
        return;
      }
      // Listened for, because an unheard error would end the process.
      socket.on("error", () => undefined).destroy();
      callback(wrong, null);
    });
  };
}

function checkPeer(socket: TLSSocket, expected: PeerId): Error | undefined {
  const der = socket.getPeerX509Certificate()?.raw;
  if (der === undefined || socket.isSessionReused()) {
    return remoteError("peer_id_wrong", "the server showed no certificate");
  }
  try {
    const found = peerIdOfCertificate(der);
    if (found === expected) return undefined;
    return remoteError("peer_id_wrong", `the server is ${found}, not ${expected}`);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** undici hides what went wrong in a cause; ours go through as they are, others get a code. */
function explain(error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true) return signal.reason;
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  if (cause instanceof ShoalError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  return new ShoalError("connection_failed", message, {
    blame: "environment",
    retryable: true,
    cause,
  });
}
