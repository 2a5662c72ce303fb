import { createCertificate } from "@shoal/trust/certificate";
import { createKey } from "@shoal/trust/key-file";
import { once } from "node:events";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { afterEach, expect, test } from "vitest";
import { stopAll, type Stops } from "./seeder.test-kit.ts";
import { startServer, type RunningServer } from "./server.ts";

const stops: Stops = [];
afterEach(() => stopAll(stops));

async function start(port = 0): Promise<RunningServer> {
  const certificate = await createCertificate(createKey());
  const fetch = (): Response => new Response("here");
  const server = await startServer(fetch, { host: "127.0.0.1", port, certificate });
  stops.push(() => server.stop());
  return server;
}

function open(port: number, options: ConnectionOptions = {}): TLSSocket {
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options });
  stops.push(async () => socket.destroy());
  return socket;
}

test("a session is never resumed, so that every connection proves its keys", async () => {
  const { port } = await start();
  const first = open(port);
  const sessions: Buffer[] = [];
  first.on("session", (session: Buffer) => sessions.push(session));
  first.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  await once(first, "data");
  sessions.push(first.getSession() ?? Buffer.alloc(0));
  for (const session of sessions) {
    const again = open(port, { session });
    await once(again, "secureConnect");
    expect(again.isSessionReused()).toBe(false);
  }
  expect(first.getProtocol()).toBe("TLSv1.3");
});

test("an older TLS is refused", async () => {
  const { port } = await start();
  const socket = open(port, { maxVersion: "TLSv1.2" });
  await expect(once(socket, "secureConnect")).rejects.toThrow(/version|alert/i);
});

test("a port that is taken is said to be", async () => {
  const { port } = await start();
  await expect(start(port)).rejects.toMatchObject({ code: "listen_failed" });
});

test("a stop ends connections that wait", async () => {
  const server = await start();
  const socket = open(server.port);
  await once(socket, "secureConnect");
  const closed = once(socket, "close");
  await server.stop();
  expect(await closed).toBeDefined();
});
