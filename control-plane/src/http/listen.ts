// Listens: Node's HTTP server under the application, with deadlines for slow callers.
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { ShoalError } from "@shoal/core/error";
import { longPollMsMax, requestBodyMsMax } from "@shoal/core/limits";
import type { App } from "./serve-route.ts";

export interface HttpServer {
  /** With the real port. */
  readonly url: string;
  /** Takes no more calls, lets the ones under way end, and cuts long polls. */
  stop(): Promise<void>;
}

export async function listenHttp(
  app: App,
  config: { readonly host: string; readonly port: number },
): Promise<HttpServer> {
  const listener = getRequestListener((request) => app.fetch(request));
  const server = createServer(
    // A caller that sends its head or body by drops is cut off; answers may wait as long as a poll.
    {
      requestTimeout: requestBodyMsMax,
      headersTimeout: longPollMsMax,
      keepAliveTimeout: 2 * longPollMsMax,
    },
    (request, response) => void listener(request, response),
  );
  await bind(server, config);
  const { port } = server.address() as AddressInfo;
  const host = config.host.includes(":") ? `[${config.host}]` : config.host;
  return { url: `http://${host}:${port}`, stop: () => close(server) };
}

async function bind(
  server: Server,
  config: { readonly host: string; readonly port: number },
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(config.port, config.host, resolve);
  try {
    await promise;
  } catch (error) {
    throw new ShoalError("listen_failed", `Can't listen on ${config.host} port ${config.port}.`, {
      blame: "environment",
      hint: "Is the port in use? Port 0 takes a free one.",
      cause: error,
    });
  }
  server.off("error", reject);
}

/** Calls that are still open after a moment are long polls: their callers come again. */
const closeGraceMs = 1000;

async function close(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), closeGraceMs);
  await promise;
  clearTimeout(timer);
}
