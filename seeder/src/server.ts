// HTTPS as docs/PROTOCOL.md 5 says: TLS 1.3 with our key's certificate, client certificates asked for
// and checked by key, no session resumed.
import type { Certificate } from "@shoal/trust/certificate";
import { ShoalError } from "@shoal/core/error";
import { seederConnectionsMax } from "@shoal/core/limits";
import { serve } from "@hono/node-server";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo, Server, Socket } from "node:net";
import { constants } from "node:crypto";

export interface ServerConfig {
  readonly host: string;
  readonly port: number;
  readonly certificate: Certificate;
}

type FetchHandler = Parameters<typeof serve>[0]["fetch"];

export interface RunningServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** Listens, or throws `listen_failed`. */
export async function startServer(
  fetch: FetchHandler,
  config: ServerConfig,
): Promise<RunningServer> {
  const server = serve({
    fetch,
    hostname: config.host,
    port: config.port,
    createServer,
    serverOptions: {
      cert: config.certificate.cert,
      key: config.certificate.key,
      minVersion: "TLSv1.3",
      requestCert: true,
      // Nobody's authority signs these certificates: routes check the key itself.
      rejectUnauthorized: false,
      secureOptions: constants.SSL_OP_NO_TICKET,
      // A hundred thousand hosts poll: idle connections stay open between polls.
      keepAliveTimeout: 30_000,
    },
  }) as Server;
  // Also those that haven't finished their handshake, which the HTTP server doesn't know yet.
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  try {
    await once(server, "listening");
  } catch (cause) {
    throw new ShoalError("listen_failed", `Can't listen on ${config.host} port ${config.port}.`, {
      blame: "environment",
      hint: "Is the port in use? Port 0 takes a free one.",
      cause,
    });
  }
  server.maxConnections = seederConnectionsMax;
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
