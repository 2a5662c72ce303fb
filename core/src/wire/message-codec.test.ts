import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeCbor, encodeCbor } from "../cbor.ts";
import { cidOf } from "../cid.ts";
import { ShoalError } from "../error.ts";
import {
  bitfieldBytesMax,
  controlMessageBytesMax,
  havesPerMessageMax,
  peersPerMessageMax,
  requestChunksMax,
  swarmAddressesMax,
  tokenBytesMax,
} from "../limits.ts";
import { peerIdOf } from "../peer-id.ts";
import { decodeMessage, encodeMessage, laneTokenBytes } from "./message-codec.ts";
import type { ControlMessage, KnownPeer } from "./messages.ts";

const goldenFolder = new URL("../../../test/fixtures/wire/v2/", import.meta.url);
const artifact = cidOf(Uint8Array.of(1, 2, 3));
const peerId = peerIdOf(new Uint8Array(32).fill(7));
const addresses = ["/ip4/127.0.0.1/tcp/4001", "/ip6/::1/tcp/4001"];
const known: KnownPeer = { peerId, addresses, zone: "north-a", seeder: true };

const golden: Readonly<Record<string, ControlMessage>> = {
  hello: {
    type: "hello",
    version: 2,
    passport: "a.b.c",
    addresses,
    bulk: ["/ip4/10.0.0.1/tcp/7443/tls"],
  },
  lane: { type: "lane", lane: 3, token: new Uint8Array(laneTokenBytes).fill(9) },
  join: { type: "join", artifact },
  leave: { type: "leave", artifact },
  bitfield: { type: "bitfield", artifact, pieces: Uint8Array.of(0xff, 0x01) },
  haves: { type: "haves", artifact, pieces: Uint32Array.of(0, 258, 65_536), count: 3 },
  request: {
    type: "request",
    artifact,
    request: 4_294_967_295,
    firstChunk: 70_000,
    count: 128,
    lane: 3,
  },
  cancel: { type: "cancel", request: 23 },
  peers: { type: "peers", artifact, peers: [known, { ...known, addresses: [], seeder: false }] },
};

const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const someCid = fc.uint8Array({ maxLength: 4 }).map(cidOf);
const address = fc.constantFrom(...addresses, "/dns4/host-1.example/tcp/1");
const peer: fc.Arbitrary<KnownPeer> = fc.record({
  peerId: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(peerIdOf),
  addresses: fc.array(address, { maxLength: swarmAddressesMax }),
  zone: fc.constantFrom("a", "north-1"),
  seeder: fc.boolean(),
});
const messages: fc.Arbitrary<ControlMessage> = fc.oneof(
  fc.record({
    type: fc.constant("hello" as const),
    version: uint32,
    passport: fc.string({ maxLength: 40 }),
    addresses: fc.array(address, { maxLength: swarmAddressesMax }),
    bulk: fc.array(address, { maxLength: swarmAddressesMax }),
  }),
  fc.record({
    type: fc.constant("lane" as const),
    lane: fc.integer({ min: 1, max: 0xffff_ffff }),
    token: fc.uint8Array({ minLength: laneTokenBytes, maxLength: laneTokenBytes }),
  }),
  fc.constant({ type: "lane" as const, lane: 0, token: new Uint8Array(0) }),
  fc.record({ type: fc.constantFrom("join" as const, "leave" as const), artifact: someCid }),
  fc.record({
    type: fc.constant("bitfield" as const),
    artifact: someCid,
    pieces: fc.uint8Array({ maxLength: 64 }),
  }),
  fc
    .record({
      type: fc.constant("haves" as const),
      artifact: someCid,
      pieces: fc.uint32Array({ minLength: 1, maxLength: 20 }),
    })
    .map((haves) => ({ ...haves, count: haves.pieces.length })),
  fc.record({
    type: fc.constant("request" as const),
    artifact: someCid,
    request: uint32,
    firstChunk: uint32,
    count: fc.integer({ min: 1, max: requestChunksMax }),
    lane: uint32,
  }),
  fc.record({ type: fc.constant("cancel" as const), request: uint32 }),
  fc.record({
    type: fc.constant("peers" as const),
    artifact: someCid,
    peers: fc.array(peer, { maxLength: peersPerMessageMax }),
  }),
);

function problemOf(bytes: Uint8Array): string {
  try {
    decodeMessage(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(ShoalError);
    const { code, blame } = error as ShoalError;
    expect(blame).toBe("remote");
    return code;
  }
  return "none";
}

describe("control messages", () => {
  test("come out as they went in", () => {
    fc.assert(
      fc.property(messages, (message) => {
        expect(decodeMessage(encodeMessage(message))).toEqual(message);
      }),
    );
  });

  test.for(Object.keys(golden))("%s has the bytes that version 2 has", (name) => {
    const bytes = new Uint8Array(readFileSync(new URL(`${name}.cbor`, goldenFolder)));
    const message = golden[name] as ControlMessage;
    expect(encodeMessage(message).toHex()).toBe(bytes.toHex());
    expect(decodeMessage(bytes)).toEqual(message);
  });

  test("each have a golden file", () => {
    const files = readdirSync(goldenFolder).filter((name) => name.endsWith(".cbor"));
    expect(files.toSorted()).toEqual(
      Object.keys(golden)
        .map((name) => `${name}.cbor`)
        .toSorted(),
    );
  });

  test("at their limits fit a frame", () => {
    const peers = Array.from({ length: peersPerMessageMax }, () => ({
      ...known,
      addresses: Array.from({ length: swarmAddressesMax }, () => `/dns4/${"a".repeat(240)}/tcp/1`),
    }));
    const largest: readonly ControlMessage[] = [
      { type: "peers", artifact, peers },
      { type: "bitfield", artifact, pieces: new Uint8Array(bitfieldBytesMax) },
      {
        type: "haves",
        artifact,
        pieces: new Uint32Array(havesPerMessageMax),
        count: havesPerMessageMax,
      },
      {
        type: "hello",
        version: 1,
        passport: "x".repeat(tokenBytesMax),
        addresses,
        bulk: addresses,
      },
    ];
    for (const message of largest) {
      const bytes = encodeMessage(message);
      expect(bytes.length).toBeLessThanOrEqual(controlMessageBytesMax);
      expect(decodeMessage(bytes)).toEqual(message);
    }
  });

  test.for([
    ["an empty list", []],
    ["no list", { join: artifact }],
    ["an unknown kind", ["gossip", artifact]],
    ["a kind that is no text", [1, artifact]],
    ["a field too many", ["join", artifact, 1]],
    ["a field too few", ["request", artifact, 1, 2]],
    ["something else than a CID", ["join", "../../etc/passwd"]],
    ["a request of nothing", ["request", artifact, 1, 0, 0, 0]],
    ["a request of too much", ["request", artifact, 1, 0, requestChunksMax + 1, 0]],
    ["a negative number", ["cancel", -1]],
    ["a number beyond 32 bits", ["cancel", 2 ** 32]],
    ["a fraction", ["cancel", 1.5]],
    ["haves of no piece", ["haves", artifact, new Uint8Array(0)]],
    ["haves of three bytes", ["haves", artifact, new Uint8Array(3)]],
    ["too many haves", ["haves", artifact, new Uint8Array(4 * (havesPerMessageMax + 1))]],
    ["too large a bitfield", ["bitfield", artifact, new Uint8Array(bitfieldBytesMax + 1)]],
    ["a passport beyond its limit", ["hello", 1, "x".repeat(tokenBytesMax + 1), [], []]],
    ["an address that is none", ["hello", 1, "", ["127.0.0.1:80"], []]],
    ["too many addresses", ["hello", 1, "", Array(swarmAddressesMax + 1).fill("/ip4/1.1.1.1"), []]],
    ["a token of another length", ["lane", 1, new Uint8Array(laneTokenBytes - 1)]],
    ["a lane without a token", ["lane", 1, new Uint8Array(0)]],
    ["no lane with a token", ["lane", 0, new Uint8Array(laneTokenBytes)]],
    ["a peer id that is none", ["peers", artifact, [["me", [], "a", false]]]],
    ["a zone that is none", ["peers", artifact, [[peerId, [], "a/b", false]]]],
    [
      "too many peers",
      [
        "peers",
        artifact,
        Array.from({ length: peersPerMessageMax + 1 }, () => [peerId, [], "a", true]),
      ],
    ],
  ] as const)("refuse %s", ([, list]) => {
    expect(problemOf(encodeCbor(list))).toBe("message_invalid");
  });

  test("refuse what is larger than a message before looking at it", () => {
    expect(problemOf(new Uint8Array(controlMessageBytesMax + 1))).toBe("message_invalid");
  });

  test("own their memory, so that the buffer they came in can be used again", () => {
    const bytes = encodeMessage({ type: "bitfield", artifact, pieces: Uint8Array.of(1, 2) });
    const message = decodeMessage(bytes);
    bytes.fill(0);
    expect(message).toEqual({ type: "bitfield", artifact, pieces: Uint8Array.of(1, 2) });
  });
});

describe("the decoder of control messages", () => {
  test("answers any bytes with a message or a remote error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(["none", "message_invalid"]).toContain(problemOf(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  test("answers a damaged message with a message or a remote error", () => {
    const damage = fc.tuple(messages, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.nat(8));
    fc.assert(
      fc.property(damage, ([message, place, mask, cut]) => {
        const bytes = encodeMessage(message);
        const at = place % bytes.length;
        bytes[at] = (bytes[at] as number) ^ mask;
        const damaged = bytes.subarray(0, bytes.length - cut);
        const problem = problemOf(damaged);
        expect(["none", "message_invalid"]).toContain(problem);
        // What is taken has one spelling.
        if (problem === "none") expect(encodeMessage(decodeMessage(damaged))).toEqual(damaged);
      }),
      { numRuns: 2000 },
    );
  });

  test("answers any list in canonical form with a message or a remote error", () => {
    const item: fc.Arbitrary<unknown> = fc.oneof(
      fc.constantFrom("hello", "lane", "join", "haves", "request", "peers", artifact, peerId, "a"),
      uint32,
      fc.uint8Array({ maxLength: 9 }),
      fc.boolean(),
      fc.array(fc.oneof(fc.constantFrom(peerId, "a", true, addresses[0]), fc.constant([]))),
    );
    fc.assert(
      fc.property(fc.array(item, { maxLength: 6 }), (list) => {
        expect(["none", "message_invalid"]).toContain(problemOf(encodeCbor(list)));
      }),
      { numRuns: 2000 },
    );
  });

  test("stands on a decoder that takes what it wrote", () => {
    const limits = { bytesMax: controlMessageBytesMax, depthMax: 4, itemsMax: 1000 };
    for (const message of Object.values(golden)) {
      const list = decodeCbor(encodeMessage(message), limits);
      expect((list as readonly unknown[])[0]).toBe(message.type);
    }
  });
});
