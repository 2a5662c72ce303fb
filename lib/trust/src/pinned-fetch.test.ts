import { once } from "node:events";
import { type Server, createServer } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  type AddressInfo,
  connect,
  createServer as createPlainServer,
  type Socket,
} from "node:net";
import type { TLSSocket } from "node:tls";
import { ShoalError } from "@shoal/core/error";
import { afterEach, describe, expect, test } from "vitest";
import { type Certificate, createCertificate, peerIdOfCertificate } from "./certificate.ts";
import { createKey } from "./key-file.ts";
import { type PinnedFetch, createPinnedFetch } from "./pinned-fetch.ts";

const serverKey = createKey();
const serverCertificate = await createCertificate(serverKey);
const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const item of open.splice(0).toReversed()) await item.close();
});

/** Accepts connections and does with them what is given, after `server`. */
async function accept(serve: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createPlainServer((socket) => {
    sockets.add(socket.on("error", () => undefined));
    serve(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push({
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

async function serve(
  certificate: Certificate,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ readonly url: string; readonly server: Server }> {
  const options = { ...certificate, requestCert: true, rejectUnauthorized: false };
  const server = createServer(options, answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push({
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  });
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/`, server };
}

function pinnedTo(config: Parameters<typeof createPinnedFetch>[0]): PinnedFetch {
  const pinned = createPinnedFetch(config);
  open.push(pinned);
  return pinned;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof ShoalError ? error.code : String(error);
}

describe("pinned fetch", () => {
  test("reaches the expected peer and shows it this side's certificate", async () => {
    const clientKey = createKey();
    const { url } = await serve(serverCertificate, (request, response) => {
      const der = (request.socket as TLSSocket).getPeerX509Certificate()?.raw;
      response.end(der === undefined ? "nobody" : peerIdOfCertificate(der));
    });
    const certificate = await createCertificate(clientKey);
    const known = await pinnedTo({ peerId: serverKey.peerId, certificate })(url);
    expect(await known.text()).toBe(clientKey.peerId);
    const unknown = await pinnedTo({ peerId: serverKey.peerId })(url);
    expect(await unknown.text()).toBe("nobody");
  });

  test("streams a request body and posts it whole", async () => {
    const { url } = await serve(serverCertificate, (request, response) => {
      let bytes = 0;
      request.on("data", (part: Buffer) => (bytes += part.length));
      request.on("end", () => response.end(String(bytes)));
    });
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let part = 0; part < 4; part += 1) controller.enqueue(new Uint8Array(100_000));
        controller.close();
      },
    });
    const init = { method: "POST", body, duplex: "half" } as RequestInit;
    const answer = await pinnedTo({ peerId: serverKey.peerId })(url, init);
    expect(await answer.text()).toBe("400000");
  });

  test("sends nothing to a server that holds another key", async () => {
    let requests = 0;
    const { url } = await serve(await createCertificate(createKey()), (_request, response) => {
      requests += 1;
      response.end();
    });
    const pinned = pinnedTo({ peerId: serverKey.peerId });
    const call = pinned(url, { headers: { authorization: "Bearer secret" } });
    expect(await codeOf(call)).toBe("peer_id_wrong");
    expect(requests).toBe(0);
  });

  test("checks the key again on every new connection", async () => {
    const first = await serve(serverCertificate, (_request, response) => {
      response.setHeader("connection", "close").end("right");
    });
    const pinned = pinnedTo({ peerId: serverKey.peerId });
    expect(await (await pinned(first.url)).text()).toBe("right");
    first.server.setSecureContext(await createCertificate(createKey()));
    expect(await codeOf(pinned(first.url))).toBe("peer_id_wrong");
  });

  test("gives up on a server that accepts and says nothing", async () => {
    const url = await accept(() => undefined);
    const pinned = pinnedTo({ peerId: serverKey.peerId, handshakeMsMax: 50 });
    expect(await codeOf(pinned(url))).toBe("connection_failed");
  });

  test("waits longer for the handshake of a busy server than for a connection", async () => {
    const { url } = await serve(serverCertificate, (_request, response) => {
      response.end("at last");
    });
    const busy = await accept((socket) => {
      setTimeout(() => {
        const onward = connect(Number(new URL(url).port), "127.0.0.1");
        onward.on("error", () => socket.destroy());
        socket.pipe(onward).pipe(socket);
      }, 500);
    });
    const pinned = pinnedTo({ peerId: serverKey.peerId, connectMsMax: 250 });
    expect(await (await pinned(busy)).text()).toBe("at last");
  });

  test("gives up on an answer that never begins, and heeds an abort", async () => {
    const { url } = await serve(serverCertificate, () => undefined);
    const aborted = new AbortController();
    const pinned = pinnedTo({ peerId: serverKey.peerId });
    const call = pinned(url, { signal: aborted.signal });
    aborted.abort(new ShoalError("stopping", "enough", { blame: "local" }));
    expect(await codeOf(call)).toBe("stopping");
    const impatient = pinnedTo({ peerId: serverKey.peerId, answerSilentMsMax: 100 });
    expect(await codeOf(impatient(url))).toBe("connection_failed");
  });

  test("refuses plain http and follows no redirect", async () => {
    const { url } = await serve(serverCertificate, (_request, response) => {
      response.writeHead(302, { location: "https://127.0.0.1:1/" }).end();
    });
    const pinned = pinnedTo({ peerId: serverKey.peerId });
    expect(await codeOf(pinned("http://127.0.0.1:1/"))).toBe("connection_failed");
    expect(await codeOf(pinned(url))).toBe("connection_failed");
  });

  test("refuses a server that speaks only TLS 1.2", async () => {
    const limited = { ...serverCertificate, maxVersion: "TLSv1.2" as const };
    const { url } = await serve(limited, (_request, response) => response.end());
    expect(await codeOf(pinnedTo({ peerId: serverKey.peerId })(url))).toBe("connection_failed");
  });
});
