import { once } from "node:events";
import { connect } from "node:tls";
import { privateKeyFromRaw } from "@libp2p/crypto/keys";
import type { Libp2p } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import { mebibyte } from "@shoal/core/units";
import { createCertificate } from "@shoal/trust/certificate";
import { createKey } from "@shoal/trust/key-file";
import { createLibp2p } from "libp2p";
import { afterEach, beforeEach, expect, test } from "vitest";
import { quietYamux } from "./quiet-yamux.ts";
import { silentLogger } from "./silent-logger.ts";
import { TlsTransport } from "./tls-transport.ts";

let listening: Libp2p;
let calling: Libp2p;

beforeEach(async () => {
  listening = await node(["/ip4/127.0.0.1/tcp/0"]);
  calling = await node([]);
});
afterEach(() => Promise.all([listening.stop(), calling.stop()]));

async function node(listen: string[], key = createKey()): Promise<Libp2p> {
  const certificate = await createCertificate(key);
  return createLibp2p({
    privateKey: privateKeyFromRaw(key.exportSecretRaw()),
    addresses: { listen },
    transports: [() => new TlsTransport({ certificate, muxer: quietYamux({}) }, silentLogger)],
  });
}

/** With the listening node's id behind. */
function address(): string {
  return String(listening.getMultiaddrs()[0]);
}

test("both ends know whose key the other one holds", async () => {
  const opened = once(listening as unknown as EventTarget, "connection:open");
  const connection = await calling.dial(multiaddr(address()));
  expect(connection.remotePeer.toString()).toBe(listening.peerId.toString());
  const [{ detail }] = await opened;
  expect(detail.remotePeer.toString()).toBe(calling.peerId.toString());
});

test("a connection to somebody else than the address names is ended", async () => {
  const wrong = address().replace(listening.peerId.toString(), createKey().peerId);
  await expect(calling.dial(multiaddr(wrong))).rejects.toMatchObject({ code: "peer_id_wrong" });
  expect(calling.getConnections()).toEqual([]);
});

test("a caller without a certificate, or with an older TLS, gets no connection", async () => {
  const { port } = new URL(`tcp://${address().replace(/^.*\/tcp\/(\d+)\/.*$/, "x:$1")}`);
  for (const options of [{}, { maxVersion: "TLSv1.2" } as const]) {
    const socket = connect({ port: Number(port), rejectUnauthorized: false, ...options });
    const { promise: isClosed, resolve } = Promise.withResolvers<unknown>();
    socket.on("error", () => undefined).on("close", resolve);
    await isClosed;
  }
  expect(listening.getConnections()).toEqual([]);
});

test("many windows of bytes arrive, though windows are opened again seldom", async () => {
  const bytes = 5 * mebibyte;
  let receivedBytes = 0;
  const { promise: isWhole, resolve } = Promise.withResolvers<undefined>();
  await listening.handle("/test/1", (stream) => {
    stream.addEventListener("message", ({ data }) => {
      receivedBytes += data.byteLength;
      if (receivedBytes === bytes) resolve(undefined);
    });
  });
  const connection = await calling.dial(multiaddr(address()));
  const stream = await connection.newStream("/test/1");
  for (let sent = 0; sent < bytes; sent += mebibyte) stream.send(new Uint8Array(mebibyte));
  await isWhole;
  expect(receivedBytes).toBe(bytes);
});
