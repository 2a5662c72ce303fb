// The proxy that is a prepare command's only way to the network: HTTP and CONNECT, to the hosts of a
// list and nothing else. It resolves names itself and connects to what it resolved, so that a name of
// the list can't be pointed at the builder's own machine behind its back. It looks at addresses, not
// at content, and keeps nothing.
import { lookup } from "node:dns/promises";
import { openSync, closeSync, chmodSync } from "node:fs";
import {
  type IncomingMessage,
  type Server,
  type ServerResponse,
  createServer,
  request,
} from "node:http";
import { BlockList, connect, isIP } from "node:net";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { type NetworkHost, coversHost } from "@shoal/core/build/network-host";
import { proxyConnectMsMax, proxyConnectionsMax, proxySilentMsMax } from "@shoal/core/limits";

export interface ProxyOptions {
  readonly hosts: readonly NetworkHost[];
  /** Holds the socket; only who may enter it can use the proxy. */
  readonly folder: string;
  /** An address of a name, or null; the machine's resolver when absent. */
  readonly resolve?: (name: string) => Promise<string | null>;
  /** Called for every refused request. */
  readonly onRefused: (address: string) => void;
}

export interface Proxy {
  /** Ends every connection. */
  close(): Promise<void>;
}

/** Listens on `socket` in the folder; anybody who can reach the file may connect. */
export async function openProxy(options: ProxyOptions): Promise<Proxy> {
  const sockets = new Set<Duplex>();
  const server = createServer({ headersTimeout: proxyConnectMsMax, requestTimeout: 0 });
  const keep = (socket: Duplex): void => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  };
  server.maxConnections = proxyConnectionsMax;
  server.on("connection", keep);
  server.on("request", (from: IncomingMessage, to: ServerResponse) => {
    forward(options, from, to).catch(() => to.destroy());
  });
  server.on("connect", (from: IncomingMessage, inner: Duplex, head: Buffer) => {
    tunnel(options, from.url ?? "", inner, head, keep).catch(() => inner.destroy());
  });
  // A socket's path may have 107 bytes only; through the folder's descriptor any length will do. It
  // stays open, because the server removes its socket by that path.
  const descriptor = openSync(options.folder, "r");
  try {
    await listen(server, `/proc/self/fd/${descriptor}/socket`);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  return {
    close: async () => {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
      closeSync(descriptor);
    },
  };
}

async function listen(server: Server, path: string): Promise<void> {
  server.listen(path);
  await once(server, "listening");
  chmodSync(path, 0o666);
}

async function tunnel(
  options: ProxyOptions,
  target: string,
  inner: Duplex,
  head: Buffer,
  keep: (socket: Duplex) => void,
): Promise<void> {
  inner.on("error", () => inner.destroy());
  const address = parseAuthority(target);
  const place = await findPlace(options, address, target);
  if (place.type === "refused") {
    inner.end(
      `HTTP/1.1 ${place.status}\r\ncontent-length: ${place.why.length}\r\n\r\n${place.why}`,
    );
    return;
  }
  const outer = connect({ host: place.ip, port: place.port });
  keep(outer);
  const late = setTimeout(() => outer.destroy(new Error("late")), proxyConnectMsMax);
  const end = (): void => {
    clearTimeout(late);
    outer.destroy();
    inner.destroy();
  };
  outer.once("connect", () => {
    clearTimeout(late);
    inner.write("HTTP/1.1 200 Connection Established\r\n\r\n");
    if (head.length > 0) outer.write(head);
    outer.setTimeout(proxySilentMsMax, end);
    inner.pipe(outer);
    outer.pipe(inner);
  });
  outer.once("error", (error) => {
    if (outer.bytesRead === 0 && !inner.destroyed) {
      inner.end(badGateway(error.message));
    }
  });
  outer.once("close", () => clearTimeout(late));
  inner.once("close", end);
}

function badGateway(why: string): string {
  return `HTTP/1.1 502 Bad Gateway\r\ncontent-length: ${Buffer.byteLength(why)}\r\n\r\n${why}`;
}

/** Headers between a client and its proxy, and those of one connection. */
const hopHeaders = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

async function forward(
  options: ProxyOptions,
  from: IncomingMessage,
  to: ServerResponse,
): Promise<void> {
  const text = from.url ?? "";
  const place = await findPlace(options, parseUrl(text), text);
  if (place.type === "refused") {
    to.writeHead(Number(place.status.slice(0, 3))).end(place.why);
    return;
  }
  const url = new URL(text);
  const pairs = Object.entries(from.headers).filter(([name]) => !hopHeaders.has(name));
  const out = request({
    host: place.ip,
    port: place.port,
    method: from.method ?? "GET",
    path: `${url.pathname}${url.search}`,
    headers: { ...Object.fromEntries(pairs), host: url.host },
    timeout: proxySilentMsMax,
    agent: false,
  });
  out.on("timeout", () => out.destroy(new Error("the host was silent for too long")));
  out.on("error", (error) => {
    if (to.headersSent) to.destroy();
    else to.writeHead(502).end(error.message);
  });
  out.on("response", (answer) => {
    const back = Object.entries(answer.headers).filter(([name]) => !hopHeaders.has(name));
    to.writeHead(answer.statusCode ?? 502, Object.fromEntries(back));
    answer.pipe(to);
    answer.on("error", () => to.destroy());
  });
  to.on("close", () => out.destroy());
  from.pipe(out);
}

interface Address {
  /** As in a URL: an IPv6 address has brackets. */
  readonly name: string;
  readonly port: number;
}

/** Of CONNECT: `host:port` and nothing else (RFC 9110, section 9.3.6). */
function parseAuthority(text: string): Address | null {
  const groups = /^(?<name>[^/?#@:[\]]+|\[[^\]]+\]):(?<port>\d{1,5})$/.exec(text)?.groups;
  if (groups === undefined || !URL.canParse(`http://${text}`)) return null;
  // URL writes addresses the one way: 127.1 and 0x7f000001 are 127.0.0.1.
  return { name: new URL(`http://${text}`).hostname, port: Number(groups["port"]) };
}

function parseUrl(text: string): Address | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.protocol !== "http:" || url.username !== "") return null;
  return { name: url.hostname, port: url.port === "" ? 80 : Number(url.port) };
}

type Place =
  | { readonly type: "place"; readonly ip: string; readonly port: number }
  | { readonly type: "refused"; readonly status: string; readonly why: string };

/** Where a request may go: an address of the list, resolved. */
async function findPlace(
  options: ProxyOptions,
  address: Address | null,
  text: string,
): Promise<Place> {
  if (address === null) {
    options.onRefused(text.slice(0, 300));
    return refused("400 Bad Request", "The proxy takes CONNECT and http:// only.");
  }
  const { name, port } = address;
  if (!coversHost(options.hosts, name, port)) {
    options.onRefused(`${name}:${port}`);
    return refused("403 Forbidden", `${name}:${port} isn't in the project's list of hosts.`);
  }
  const bare = name.replace(/^\[|\]$/g, "");
  if (isIP(bare) !== 0) return { type: "place", ip: bare, port };
  const ip = await (options.resolve ?? resolveHere)(bare);
  if (ip === null) return refused("502 Bad Gateway", `${name} can't be resolved.`);
  if (bare !== "localhost" && isOwnMachine(ip)) {
    options.onRefused(`${name}:${port} (resolves to ${ip}, which is this machine or its link)`);
    return refused(
      "403 Forbidden",
      `${name} resolves to ${ip}, which is this machine or its link.`,
    );
  }
  return { type: "place", ip, port };
}

function refused(status: string, why: string): Place {
  return { type: "refused", status, why };
}

async function resolveHere(name: string): Promise<string | null> {
  const late = AbortSignal.timeout(proxyConnectMsMax);
  const gone = once(late, "abort").then(() => null);
  // IPv4 first: builders without IPv6 are common, and one address is enough for a proxy.
  const found = lookup(name, { order: "ipv4first" }).then(
    ({ address }) => address,
    () => null,
  );
  return Promise.race([found, gone]);
}

const ownMachine = new BlockList();
ownMachine.addSubnet("127.0.0.0", 8);
ownMachine.addSubnet("0.0.0.0", 8);
ownMachine.addSubnet("169.254.0.0", 16);
ownMachine.addAddress("::", "ipv6");
ownMachine.addAddress("::1", "ipv6");
ownMachine.addSubnet("fe80::", 10, "ipv6");

function isOwnMachine(ip: string): boolean {
  return ownMachine.check(ip, isIP(ip) === 6 ? "ipv6" : "ipv4");
}
