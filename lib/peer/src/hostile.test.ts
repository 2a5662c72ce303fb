// A node among those who mean it no good: bytes that are no protocol, resets, silence, and peers with a
// valid key that don't keep to the rules. It must serve everybody else all the while.
import { connect } from "node:net";
import { privateKeyFromRaw } from "@libp2p/crypto/keys";
import type { Connection, Libp2p, Stream } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import { ControlFrameDecoder, encodeControlFrame } from "@shoal/core/wire/control-frames";
import { encodeDataHead } from "@shoal/core/wire/data-frames";
import { decodeMessage, encodeMessage } from "@shoal/core/wire/message-codec";
import { type ControlMessage, protocolVersion as version } from "@shoal/core/wire/messages";
import { createCertificate } from "@shoal/trust/certificate";
import { createKey } from "@shoal/trust/key-file";
import { createLibp2p } from "libp2p";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Artifact, artifactOf, Fleet, join, type Member, seed } from "./fleet.test-kit.ts";
import { quietYamux } from "./transport/quiet-yamux.ts";
import { silentLogger } from "./transport/silent-logger.ts";
import { TlsTransport } from "./transport/tls-transport.ts";

let fleet: Fleet;
let seeder: Member;
let artifact: Artifact;
const strangers: Libp2p[] = [];

beforeEach(async () => {
  fleet = new Fleet();
  seeder = await fleet.member({ seeder: true });
  artifact = artifactOf(8, 1);
  seed(seeder, artifact);
});

afterEach(async () => {
  for (const stranger of strangers.splice(0)) await stranger.stop();
  await fleet.close();
});

/** A host that behaves gets its bytes, of whoever has them by now. */
async function expectServed(): Promise<void> {
  const { membership } = join(await fleet.member(), artifact);
  membership.addPeers([seeder.candidate]);
  await membership.done;
  const { bytesFromSeeders, bytesFromPeers } = membership.progress();
  expect(bytesFromSeeders).toBeGreaterThan(0);
  expect(bytesFromSeeders + bytesFromPeers).toBe(artifact.manifest.bytes);
}

/** A connection that proved a key of its own, whoever it is. */
async function call(key = createKey()): Promise<Connection> {
  const certificate = await createCertificate(key);
  const stranger = await createLibp2p({
    privateKey: privateKeyFromRaw(key.exportSecretRaw()),
    transports: [() => new TlsTransport({ certificate, muxer: quietYamux({}) }, silentLogger)],
  });
  strangers.push(stranger);
  const [address] = seeder.candidate.swarmAddresses;
  return stranger.dial(multiaddr(`${address}/p2p/${seeder.node.peerId}`));
}

/** Resolves when the stream has ended; fails when it hasn't in time. */
async function ended(stream: Stream): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  stream.addEventListener("message", () => undefined);
  stream.addEventListener("close", () => resolve(undefined));
  stream.addEventListener("remoteCloseWrite", () => resolve(undefined));
  if (stream.status !== "open") resolve(undefined);
  await promise;
}

function say(stream: Stream, message: ControlMessage): void {
  stream.send(encodeControlFrame(encodeMessage(message)));
}

/** Resolves when the other side has said this. */
async function heard(stream: Stream, type: ControlMessage["type"]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const decoder = new ControlFrameDecoder();
  stream.addEventListener("message", ({ data }) => {
    decoder.push(data.subarray());
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
      if (decodeMessage(frame).type === type) resolve(undefined);
    }
  });
  stream.addEventListener("close", () => reject(new Error("the stream ended")));
  await promise;
}

function port(): number {
  return Number(seeder.candidate.swarmAddresses[0]?.split("/").at(-1));
}

describe("a node that serves", () => {
  test("outlives a burst of sockets that send rubbish, reset or say nothing", async () => {
    const sockets = Array.from({ length: 60 }, (_unused, index) => {
      const socket = connect(port(), "127.0.0.1");
      socket.on("error", () => undefined);
      socket.on("connect", () => {
        if (index % 3 === 0) socket.write(new Uint8Array(1000).fill(index));
        if (index % 3 === 1) socket.resetAndDestroy();
      });
      return socket;
    });
    await expectServed();
    for (const socket of sockets) socket.resetAndDestroy();
    await expectServed();
  });

  test("ends a control stream that begins with something else than a hello", async () => {
    const stream = await (await call()).newStream("/shoal/control/1");
    say(stream, { type: "join", artifact: artifact.cid });
    await ended(stream);
    await expectServed();
  });

  test("ends a control stream with a message of an impossible length", async () => {
    const stream = await (await call()).newStream("/shoal/control/1");
    stream.send(Uint8Array.of(0xff, 0xff, 0xff, 0xff));
    await ended(stream);
    await expectServed();
  });

  test("ends a data stream that comes without a link", async () => {
    const stream = await (await call()).newStream("/shoal/data/1");
    await ended(stream);
    await expectServed();
  });

  test("ends a caller who shows somebody else's passport", async () => {
    const connection = await call();
    const stream = await connection.newStream("/shoal/control/1");
    const { passport } = await fleet.papers();
    say(stream, { type: "hello", version, passport, addresses: [], bulk: [] });
    await ended(stream);
    await expectServed();
  });
});

describe("a peer with a passport", () => {
  /** Resolves when there is a link; `data` when the other side sends on a data stream. */
  async function open(): Promise<{
    readonly control: Stream;
    readonly data: Promise<Stream>;
    readonly openData: () => Promise<Stream>;
  }> {
    const { key, passport } = await fleet.papers();
    const connection = await call(key);
    const { promise: data, resolve } = Promise.withResolvers<Stream>();
    await strangers.at(-1)?.handle("/shoal/data/1", (stream) => resolve(stream));
    const control = await connection.newStream("/shoal/control/1");
    const joined = heard(control, "join");
    say(control, { type: "hello", version, passport, addresses: [], bulk: [] });
    await joined;
    return { control, data, openData: () => connection.newStream("/shoal/data/1") };
  }

  test("loses its link for chunks that nobody asked for", async () => {
    const { control, openData } = await open();
    (await openData()).send(encodeDataHead({ request: 1, chunk: 0, length: 1000 }));
    await ended(control);
    await expectServed();
  });

  test("loses its link for a second data stream", async () => {
    const { control, openData } = await open();
    await openData();
    // Its negotiation may not even end.
    await openData().catch(() => undefined);
    await ended(control);
    await expectServed();
  });

  test("loses its link for a second hello", async () => {
    const { control } = await open();
    say(control, { type: "hello", version, passport: "", addresses: [], bulk: [] });
    await ended(control);
    await expectServed();
  });

  test("loses its link for a bitfield of another size", async () => {
    const { control } = await open();
    const pieces = new Uint8Array(999);
    say(control, { type: "bitfield", artifact: artifact.cid, pieces });
    await ended(control);
    await expectServed();
  });

  test("gets an end for each chunk that it asks for without being a member", async () => {
    const { control, data } = await open();
    const received: number[] = [];
    const request = {
      type: "request",
      artifact: artifact.cid,
      firstChunk: 0,
      count: 1,
      lane: 0,
    } as const;
    say(control, { ...request, request: 7 });
    (await data).addEventListener("message", (part) => received.push(...part.data.subarray()));
    await expect.poll(() => received).toEqual([7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    await expectServed();
  });
});
