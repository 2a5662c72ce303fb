// What members of a swarm say to each other on the control stream (PROTOCOL.md 6.1). Only the
// vocabulary: message-codec.ts has the bytes, control-frames.ts the length in front of each, and
// core/src/swarm decides what to say when.
import type { ArtifactCid, PeerId } from "../ids.ts";

/** Raised when a message changes its meaning; two sides of different versions part at once. */
export const protocolVersion = 3;

/** The first message of each side, and only the first. */
export interface HelloMessage {
  readonly type: "hello";
  readonly version: number;
  /** The sender's passport, a compact JWS; believed only for the peer id that the link proved. */
  readonly passport: string;
  /** Multiaddrs at which others can dial the sender; empty when it can't be dialed. */
  readonly addresses: readonly string[];
  /** Where the sender's bulk sockets are reached; one that ends with `/tls` speaks TLS, others don't. */
  readonly bulk: readonly string[];
}

/**
 * The sender opens a bulk socket to the receiver, to be sent chunks on. Its opening is the hash of the
 * token, and the answer to that the token: both ends prove that they are the ends of this link. Lane 0
 * without a token takes the last one back: what it owes isn't sent any more.
 */
export interface LaneMessage {
  readonly type: "lane";
  /** Counts up on each link, from 1. */
  readonly lane: number;
  /** 32 random bytes, used once; empty with lane 0. */
  readonly token: Uint8Array;
}

/** The sender is a member of an artifact's swarm; a member that hears it answers with its bitfield. */
export interface JoinMessage {
  readonly type: "join";
  readonly artifact: ArtifactCid;
}

/** The sender is no member any more: it neither serves nor fetches the artifact. */
export interface LeaveMessage {
  readonly type: "leave";
  readonly artifact: ArtifactCid;
}

/** What the sender offers of an artifact now: bit i % 8 of byte i >> 3 is piece i. */
export interface BitfieldMessage {
  readonly type: "bitfield";
  readonly artifact: ArtifactCid;
  readonly pieces: Uint8Array;
}

/** The sender offers these pieces as well. */
export interface HavesMessage {
  readonly type: "haves";
  readonly artifact: ArtifactCid;
  /** Piece indexes in any order; `count` of them count, so that a buffer can be reused. */
  readonly pieces: Uint32Array;
  readonly count: number;
}

/**
 * Asks for a run of chunks within one piece. Ended where they are sent, by the last chunk or by an end
 * frame (data-frames.ts): nothing overtakes the chunks that were sent before. One whose bulk socket is
 * gone is ended on the data stream.
 */
export interface RequestMessage {
  readonly type: "request";
  readonly artifact: ArtifactCid;
  /** Chosen by the asker; not used twice on a link while it isn't ended. */
  readonly request: number;
  readonly firstChunk: number;
  readonly count: number;
  /** The bulk socket that should carry the chunks; 0 for the data stream. */
  readonly lane: number;
}

/** The asker doesn't want the rest. The request is still ended, like any other. */
export interface CancelMessage {
  readonly type: "cancel";
  readonly request: number;
}

/** Other members that the sender knows of. */
export interface PeersMessage {
  readonly type: "peers";
  readonly artifact: ArtifactCid;
  readonly peers: readonly KnownPeer[];
}

export interface KnownPeer {
  readonly peerId: PeerId;
  readonly addresses: readonly string[];
  readonly zone: string;
  readonly seeder: boolean;
}

export type ControlMessage =
  | HelloMessage
  | LaneMessage
  | JoinMessage
  | LeaveMessage
  | BitfieldMessage
  | HavesMessage
  | RequestMessage
  | CancelMessage
  | PeersMessage;
