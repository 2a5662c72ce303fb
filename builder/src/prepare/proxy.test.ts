import { once } from "node:events";
import { mkdtempSync, rmSync, existsSync } from "node:fs";
import { createServer as createHttpServer, request } from "node:http";
import { type AddressInfo, type Socket, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseNetworkHost } from "@shoal/core/build/network-host";
import { afterEach, expect, test } from "vitest";
import { openProxy } from "./proxy.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** Says everything back, in a way of its own. */
async function startEcho(): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => socket.write(`echo ${bytes.toString("utf8")}`));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

async function start(hosts: readonly string[], names: Readonly<Record<string, string>> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "shoal-proxy-"));
  const refused: string[] = [];
  const proxy = await openProxy({
    hosts: hosts.flatMap((text) => parseNetworkHost(text) ?? []),
    folder,
    resolve: async (name) => names[name] ?? null,
    onRefused: (address) => refused.push(address),
  });
  const path = join(folder, "socket");
  const close = async (): Promise<void> => {
    await proxy.close();
    expect(existsSync(path)).toBe(false);
    rmSync(folder, { recursive: true, force: true });
  };
  return { path, refused, close };
}

/** Sends text and answers what comes back until `until` is in it or the other side ends. */
async function exchange(path: string, text: string, until = "\n\n"): Promise<string> {
  const socket: Socket = connect(path);
  socket.setTimeout(5000, () => socket.destroy(new Error("silent")));
  socket.write(text);
  let got = "";
  for await (const bytes of socket as AsyncIterable<Buffer>) {
    got += bytes.toString("utf8");
    if (got.includes(until)) break;
  }
  return got;
}

test("opens a tunnel to a host of the list, and passes on what came with the request", async () => {
  const port = await startEcho();
  const { path, refused, close } = await start([`mirror.example:${port}`, `127.0.0.1:${port}`], {
    "mirror.example": "203.0.113.1",
  });
  const target = `127.0.0.1:${port}`;
  const got = await exchange(path, `CONNECT ${target} HTTP/1.1\r\nHost: x\r\n\r\nhello`, "hello");
  expect(got).toBe("HTTP/1.1 200 Connection Established\r\n\r\necho hello");
  expect(refused).toEqual([]);
  await close();
});

test.for([
  ["CONNECT other.example:443 HTTP/1.1", 403, "other.example:443"],
  ["CONNECT a.example:22 HTTP/1.1", 403, "a.example:22"],
  ["CONNECT A.example.evil.example:443 HTTP/1.1", 403, "a.example.evil.example:443"],
  ["CONNECT a.example@other.example:443 HTTP/1.1", 400, "a.example@other.example:443"],
  ["CONNECT /x HTTP/1.1", 400, "/x"],
  ["CONNECT a.example HTTP/1.1", 400, "a.example"],
  ["CONNECT 127.1:443 HTTP/1.1", 403, "127.0.0.1:443"],
  ["GET http://other.example/a.example HTTP/1.1", 403, "other.example:80"],
  ["GET /no/host HTTP/1.1", 400, "/no/host"],
  ["GET https://a.example/ HTTP/1.1", 400, "https://a.example/"],
  ["GET ftp://a.example/ HTTP/1.1", 400, "ftp://a.example/"],
] as const)("answers %s with %d and tells which", async ([line, status, address]) => {
  const { path, refused, close } = await start(["a.example"], { "a.example": "203.0.113.1" });
  const got = await exchange(path, `${line}\r\nHost: a.example\r\nConnection: close\r\n\r\n`);
  expect(got).toContain(`HTTP/1.1 ${status} `);
  expect(refused).toEqual([address]);
  await close();
});

test.for(["127.0.0.1", "127.8.8.8", "0.0.0.0", "::1", "::ffff:127.0.0.1", "169.254.169.254"])(
  "refuses a name of the list that resolves to %s",
  async (ip) => {
    const port = await startEcho();
    const { path, refused, close } = await start([`a.example:${port}`], { "a.example": ip });
    const got = await exchange(path, `CONNECT a.example:${port} HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(got).toContain("HTTP/1.1 403 ");
    expect(refused[0]).toContain(ip);
    await close();
  },
);

test("says so when a host can't be resolved or connected", async () => {
  const { path, close } = await start(["gone.example", "127.0.0.1:1"]);
  for (const target of ["gone.example:443", "127.0.0.1:1"]) {
    const got = await exchange(path, `CONNECT ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(got).toContain("HTTP/1.1 502 Bad Gateway");
  }
  await close();
});

test("passes plain requests on to the host they name, whatever their Host header says", async () => {
  const seen: string[] = [];
  const server = createHttpServer((from, to) => {
    seen.push(
      `${from.method} ${from.headers.host} ${from.url} ${from.headers["proxy-authorization"]}`,
    );
    from.pipe(to);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const { path, close } = await start([`127.0.0.1:${port}`]);
  const headers = {
    host: "internal.example",
    "proxy-authorization": "secret",
    connection: "close",
  };
  const target = `http://127.0.0.1:${port}/a?b=c`;
  const out = request({ socketPath: path, path: target, method: "POST", headers });
  out.end("body");
  const [answer] = (await once(out, "response")) as [AsyncIterable<Buffer>];
  const parts: Buffer[] = [];
  for await (const part of answer) parts.push(part);
  expect(Buffer.concat(parts).toString("utf8")).toBe("body");
  expect(seen).toEqual([`POST 127.0.0.1:${port} /a?b=c undefined`]);
  await close();
});

test("ends open tunnels when it is closed", async () => {
  const port = await startEcho();
  const { path, close } = await start([`127.0.0.1:${port}`]);
  const socket = connect(path);
  socket.on("error", () => undefined);
  socket.write(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: x\r\n\r\n`);
  await once(socket, "data");
  const ended = once(socket, "close");
  await close();
  await ended;
  expect(socket.destroyed).toBe(true);
});
