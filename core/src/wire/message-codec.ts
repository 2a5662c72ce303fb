// Control messages as bytes: each is a DAG-CBOR list whose first item says what it is. Everything is
// bounded before it is allocated (cbor.ts walks the heads first) and refused with `message_invalid`
// when it isn't exactly as PROTOCOL.md 6.1 says. Whether a message makes sense now is not judged here.
import { decodeCbor, encodeCbor } from "../cbor.ts";
import { remoteError, ShoalError } from "../error.ts";
import { isArtifactCid, isName, isPeerId } from "../ids.ts";
import {
  bitfieldBytesMax,
  controlMessageBytesMax,
  havesPerMessageMax,
  peersPerMessageMax,
  requestChunksMax,
  swarmAddressCharsMax,
  swarmAddressesMax,
  tokenBytesMax,
} from "../limits.ts";
import type { ControlMessage, KnownPeer } from "./messages.ts";

const cborLimits = {
  bytesMax: controlMessageBytesMax,
  depthMax: 4,
  itemsMax: 8 + peersPerMessageMax * (5 + swarmAddressesMax),
};
const uint32Max = 0xffff_ffff;
/** Length of a lane's token. */
export const laneTokenBytes = 32;
const bytesPerHave = 4;

/** The bytes of one message, without the length that goes before it. */
export function encodeMessage(message: ControlMessage): Uint8Array {
  return encodeCbor(listOf(message));
}

/** Throws `message_invalid` and nothing else. Byte strings and pieces in it own their memory. */
export function decodeMessage(bytes: Uint8Array): ControlMessage {
  const list = decodeList(bytes);
  const [kind, ...fields] = list;
  switch (kind) {
    case "hello": {
      const [version, passport, addresses, bulk] = exactly(fields, 4);
      return {
        type: "hello",
        version: uint32(version),
        passport: passportText(passport),
        addresses: addressList(addresses),
        bulk: addressList(bulk),
      };
    }
    case "lane": {
      const [lane, token] = exactly(fields, 2);
      const secret = byteString(token, laneTokenBytes);
      if (secret.length !== (lane === 0 ? 0 : laneTokenBytes)) throw invalid("not a token");
      return { type: "lane", lane: uint32(lane), token: secret.slice() };
    }
    case "join":
    case "leave": {
      const [artifact] = exactly(fields, 1);
      return { type: kind, artifact: cid(artifact) };
    }
    case "bitfield": {
      const [artifact, pieces] = exactly(fields, 2);
      const bits = byteString(pieces, bitfieldBytesMax);
      return { type: "bitfield", artifact: cid(artifact), pieces: bits.slice() };
    }
    case "haves": {
      const [artifact, packed] = exactly(fields, 2);
      const pieces = unpackPieces(byteString(packed, havesPerMessageMax * bytesPerHave));
      return { type: "haves", artifact: cid(artifact), pieces, count: pieces.length };
    }
    case "request": {
      const [artifact, request, firstChunk, count, lane] = exactly(fields, 5);
      return {
        type: "request",
        artifact: cid(artifact),
        request: uint32(request),
        firstChunk: uint32(firstChunk),
        count: within(uint32(count), 1, requestChunksMax),
        lane: uint32(lane),
      };
    }
    case "cancel": {
      const [request] = exactly(fields, 1);
      return { type: "cancel", request: uint32(request) };
    }
    case "peers": {
      const [artifact, peers] = exactly(fields, 2);
      const known = listOfAtMost(peers, peersPerMessageMax).map(knownPeer);
      return { type: "peers", artifact: cid(artifact), peers: known };
    }
    default:
      throw invalid("of no known kind");
  }
}

function listOf(message: ControlMessage): readonly unknown[] {
  switch (message.type) {
    case "hello":
      return ["hello", message.version, message.passport, message.addresses, message.bulk];
    case "lane":
      return ["lane", message.lane, message.token];
    case "join":
    case "leave":
      return [message.type, message.artifact];
    case "bitfield":
      return ["bitfield", message.artifact, message.pieces];
    case "haves":
      return ["haves", message.artifact, packPieces(message.pieces, message.count)];
    case "request": {
      const { artifact, request, firstChunk, count, lane } = message;
      return ["request", artifact, request, firstChunk, count, lane];
    }
    case "cancel":
      return ["cancel", message.request];
    case "peers": {
      const peers = message.peers.map((p) => [p.peerId, p.addresses, p.zone, p.seeder]);
      return ["peers", message.artifact, peers];
    }
  }
}

function decodeList(bytes: Uint8Array): readonly unknown[] {
  try {
    return listOfAtMost(decodeCbor(bytes, cborLimits), 6);
  } catch (cause) {
    throw cause instanceof ShoalError ? invalid(cause.message) : cause;
  }
}

function packPieces(pieces: Uint32Array, count: number): Uint8Array {
  const packed = new Uint8Array(count * bytesPerHave);
  const view = new DataView(packed.buffer);
  for (let index = 0; index < count; index += 1) {
    view.setUint32(index * bytesPerHave, pieces[index] as number, true);
  }
  return packed;
}

function unpackPieces(packed: Uint8Array): Uint32Array {
  if (packed.length === 0 || packed.length % bytesPerHave !== 0) throw invalid("no list of pieces");
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  const pieces = new Uint32Array(packed.length / bytesPerHave);
  for (let index = 0; index < pieces.length; index += 1) {
    pieces[index] = view.getUint32(index * bytesPerHave, true);
  }
  return pieces;
}

function knownPeer(value: unknown): KnownPeer {
  const [peerId, addresses, zone, seeder] = exactly(listOfAtMost(value, 4), 4);
  if (typeof peerId !== "string" || !isPeerId(peerId)) throw invalid("not a peer id");
  if (typeof zone !== "string" || !isName(zone)) throw invalid("not a zone");
  if (typeof seeder !== "boolean") throw invalid("not a yes or no");
  return { peerId, addresses: addressList(addresses), zone, seeder };
}

function addressList(value: unknown): readonly string[] {
  return listOfAtMost(value, swarmAddressesMax).map((address) => {
    if (typeof address !== "string" || !addressPattern.test(address)) {
      throw invalid("not an address");
    }
    return address;
  });
}

/** The outer shape of a multiaddr; who dials it parses it. */
const addressPattern = new RegExp(`^(?=.{2,${swarmAddressCharsMax}}$)(?:/[A-Za-z0-9.:_-]+)+$`);

function passportText(value: unknown): string {
  if (typeof value !== "string" || value.length > tokenBytesMax) throw invalid("not a passport");
  return value;
}

function cid(value: unknown): string {
  if (typeof value !== "string" || !isArtifactCid(value)) throw invalid("not an artifact CID");
  return value;
}

function byteString(value: unknown, bytesMax: number): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length > bytesMax) throw invalid("not such bytes");
  return value;
}

function uint32(value: unknown): number {
  if (typeof value !== "number" || !Number.isInteger(value)) throw invalid("not a number");
  return within(value, 0, uint32Max);
}

function within(value: number, least: number, most: number): number {
  if (value < least || value > most) throw invalid("a number that can't be");
  return value;
}

function exactly(fields: readonly unknown[], count: number): readonly unknown[] {
  if (fields.length !== count) throw invalid(`not ${count} fields`);
  return fields;
}

function listOfAtMost(value: unknown, most: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > most) throw invalid("not such a list");
  return value as readonly unknown[];
}

function invalid(problem: string): ShoalError {
  return remoteError("message_invalid", `not a control message: ${problem}`);
}
