// The vocabulary of the piece scheduler: what it is told and what it orders. Readable on its own.
//
// Numbers stand for things on the hot path. A link is the conversation with one peer; its number is
// given by the driver, rises, and is never used again; so does an artifact's slot. Pieces and chunks
// are indexes of the manifest.
//
// Inputs are read during `handle` and not kept, but for what their comment says; so a driver may reuse
// them. Outputs are valid until the next `poll`.
import type { ArtifactCid, PeerId } from "../ids.ts";
import type { Bytes, ChunkIndex } from "../units.ts";
import type { KnownPeer } from "../wire/messages.ts";
import type { PieceMap } from "../content/pieces.ts";
import type { SwarmLogEvent } from "./log-events.ts";
import type { Waits } from "./waits-for.ts";

export type LinkId = number;
export type ArtifactSlot = number;
/** Names a request of ours on the wire; used again only after its request has ended. */
export type RequestId = number;

/** Occurs when this node becomes a member of an artifact's swarm. Keeps `pieces` and `cid`. */
export interface ArtifactJoined {
  readonly type: "artifactJoined";
  readonly artifact: ArtifactSlot;
  readonly cid: ArtifactCid;
  readonly pieces: PieceMap;
  /** Chunks held and verified: bit i % 8 of byte i >> 3 is chunk i. */
  readonly held: Uint8Array;
  /** Chunks that aren't held and are being taken from elsewhere on this node's disk, in the same form. */
  readonly reusing?: Uint8Array;
  /** Larger goes first. */
  readonly priority: number;
}

/** Occurs when this node leaves an artifact, complete or not. Answers that are still due are ignored. */
export interface ArtifactLeft {
  readonly type: "artifactLeft";
  readonly artifact: ArtifactSlot;
}

/**
 * Occurs when a person stops the download of an artifact, or lets it go on. While it is paused nothing of it
 * is asked for and nobody dialed for it, and what was asked for is cancelled; what arrives all the same is
 * kept, and others are served as before.
 */
export interface PauseChanged {
  readonly type: "pauseChanged";
  readonly artifact: ArtifactSlot;
  readonly paused: boolean;
}

/** Occurs when somebody (a seeder, another peer) named members of an artifact's swarm. Keeps the peers. */
export interface CandidatesOffered {
  readonly type: "candidatesOffered";
  readonly artifact: ArtifactSlot;
  readonly peers: readonly KnownPeer[];
}

/** Occurs when a peer was reached, proved its key, and showed a valid passport. Keeps `peer`. */
export interface LinkOpened {
  readonly type: "linkOpened";
  readonly link: LinkId;
  readonly peer: KnownPeer;
}

/** Occurs when a link is gone, for whatever reason, a `drop` of ours included. */
export interface LinkClosed {
  readonly type: "linkClosed";
  readonly link: LinkId;
}

/** Occurs when an ordered dial came to nothing. */
export interface DialFailed {
  readonly type: "dialFailed";
  readonly peer: PeerId;
}

/** Occurs when it becomes known, or changes, whether a peer may take part in an artifact's swarm. */
export interface PermissionChanged {
  readonly type: "permissionChanged";
  readonly link: LinkId;
  readonly artifact: ArtifactSlot;
  readonly allowed: boolean;
}

/** Occurs when a peer says that it is a member. */
export interface PeerJoined {
  readonly type: "peerJoined";
  readonly link: LinkId;
  readonly artifact: ArtifactSlot;
}

/** Occurs when a peer says that it isn't a member any more. */
export interface PeerLeft {
  readonly type: "peerLeft";
  readonly link: LinkId;
  readonly artifact: ArtifactSlot;
}

/** Occurs when a peer says what it offers. Keeps `pieces`. */
export interface BitfieldReceived {
  readonly type: "bitfieldReceived";
  readonly link: LinkId;
  readonly artifact: ArtifactSlot;
  readonly pieces: Uint8Array;
}

/**
 * Occurs when a peer offers more pieces; the first `count` of `pieces` are meant. One that it offers
 * already says that it has room for a request.
 */
export interface HavesReceived {
  readonly type: "havesReceived";
  readonly link: LinkId;
  readonly artifact: ArtifactSlot;
  readonly pieces: Uint32Array;
  readonly count: number;
}

/** Occurs when a peer asks for chunks. */
export interface RequestReceived {
  readonly type: "requestReceived";
  readonly link: LinkId;
  readonly artifact: ArtifactSlot;
  readonly request: RequestId;
  readonly firstChunk: ChunkIndex;
  readonly count: number;
}

/** Occurs when a peer doesn't want the rest of what it asked for. */
export interface CancelReceived {
  readonly type: "cancelReceived";
  readonly link: LinkId;
  readonly request: RequestId;
}

/** Occurs when a peer won't send the rest of what we asked for. */
export interface RejectReceived {
  readonly type: "rejectReceived";
  readonly link: LinkId;
  readonly request: RequestId;
}

/** Occurs when what should have carried the rest is gone: the peer still has it, and may be asked again. */
export interface RequestLost {
  readonly type: "requestLost";
  readonly link: LinkId;
  readonly request: RequestId;
}

/** Occurs when a whole chunk has arrived; its bytes wait with the driver for `accept` or `discard`. */
export interface ChunkReceived {
  readonly type: "chunkReceived";
  readonly link: LinkId;
  readonly request: RequestId;
  readonly chunk: ChunkIndex;
}

/** Occurs when an accepted chunk had the right hash and is stored. */
export interface ChunkStored {
  readonly type: "chunkStored";
  readonly artifact: ArtifactSlot;
  readonly chunk: ChunkIndex;
  readonly link: LinkId;
}

/** Occurs when an accepted chunk had another hash than it should have. */
export interface ChunkRefused {
  readonly type: "chunkRefused";
  readonly artifact: ArtifactSlot;
  readonly chunk: ChunkIndex;
  readonly link: LinkId;
  /** Whose link it was, should it be gone by now. */
  readonly peer: PeerId;
}

/**
 * Occurs when chunks that were being taken from elsewhere on this node's disk are held, or turn out not to be
 * there: from then on these are asked for.
 */
export interface ReuseEnded {
  readonly type: "chunksReused" | "reuseFailed";
  readonly artifact: ArtifactSlot;
  readonly firstChunk: ChunkIndex;
  readonly count: number;
}

/** Occurs when an ordered upload came to its end, or was stopped, or its chunks couldn't be read. */
export interface UploadEnded {
  readonly type: "uploadEnded";
  readonly link: LinkId;
  readonly request: RequestId;
  readonly outcome: "sent" | "stopped" | "unreadable";
}

/** Occurs at or after `nextDeadline()`. */
export interface DeadlineReached {
  readonly type: "deadline";
}

export type SwarmInput =
  | ArtifactJoined
  | ArtifactLeft
  | PauseChanged
  | CandidatesOffered
  | LinkOpened
  | LinkClosed
  | DialFailed
  | PermissionChanged
  | PeerJoined
  | PeerLeft
  | BitfieldReceived
  | HavesReceived
  | RequestReceived
  | CancelReceived
  | RejectReceived
  | RequestLost
  | ChunkReceived
  | ChunkStored
  | ChunkRefused
  | ReuseEnded
  | UploadEnded
  | DeadlineReached;

/** Dial a peer; answered by `linkOpened` or `dialFailed`, within a bound that the driver knows. */
export interface DialOrder {
  readonly type: "dial";
  readonly peer: PeerId;
  readonly addresses: readonly string[];
}

export type DropReason = "badChunk" | "banned" | "full" | "protocol" | "stalled" | "unneeded";

/** Close a link; the machine has forgotten it already, and `linkClosed` may follow. */
export interface DropOrder {
  readonly type: "drop";
  readonly link: LinkId;
  readonly reason: DropReason;
}

export interface JoinOrder {
  readonly type: "join" | "leave";
  readonly link: LinkId;
  readonly artifact: ArtifactSlot;
}

export interface BitfieldOrder {
  readonly type: "bitfield";
  readonly link: LinkId;
  readonly artifact: ArtifactSlot;
  readonly pieces: Uint8Array;
}

export interface HavesOrder {
  readonly type: "haves";
  readonly link: LinkId;
  readonly artifact: ArtifactSlot;
  readonly pieces: Uint32Array;
  readonly count: number;
}

export interface PeersOrder {
  readonly type: "peers";
  readonly link: LinkId;
  readonly artifact: ArtifactSlot;
  readonly peers: readonly KnownPeer[];
}

/** Ask for chunks; they may answer on any lane of the link, in their order. */
export interface RequestOrder {
  readonly type: "request";
  readonly link: LinkId;
  readonly artifact: ArtifactSlot;
  readonly request: RequestId;
  readonly firstChunk: ChunkIndex;
  readonly count: number;
}

/** Say that the rest isn't wanted; chunks that come anyway are still `chunkReceived`. */
export interface CancelOrder {
  readonly type: "cancel";
  readonly link: LinkId;
  readonly request: RequestId;
}

/** End a peer's request without the rest of its chunks. */
export interface RejectOrder {
  readonly type: "reject";
  readonly link: LinkId;
  readonly request: RequestId;
}

/** Read and send these chunks, one after the other; answered by `uploadEnded`. */
export interface UploadOrder {
  readonly type: "upload";
  readonly link: LinkId;
  readonly artifact: ArtifactSlot;
  readonly request: RequestId;
  readonly firstChunk: ChunkIndex;
  readonly count: number;
}

/** End an upload before its next chunk; `uploadEnded` still follows, and may say that all were sent. */
export interface StopUploadOrder {
  readonly type: "stopUpload";
  readonly link: LinkId;
  readonly request: RequestId;
}

/** Hash a received chunk and store it if it is right; answered by `chunkStored` or `chunkRefused`. */
export interface AcceptOrder {
  readonly type: "accept";
  readonly link: LinkId;
  readonly request: RequestId;
  readonly artifact: ArtifactSlot;
  readonly chunk: ChunkIndex;
}

/** Forget the bytes of a received chunk. */
export interface DiscardOrder {
  readonly type: "discard";
  readonly link: LinkId;
  readonly request: RequestId;
  readonly chunk: ChunkIndex;
}

/** Every chunk of the artifact is held. Comes once, also when it was complete from the start. */
export interface CompleteOrder {
  readonly type: "complete";
  readonly artifact: ArtifactSlot;
}

export interface LogOrder {
  readonly type: "log";
  readonly event: SwarmLogEvent;
}

export type SwarmOutput =
  | DialOrder
  | DropOrder
  | JoinOrder
  | BitfieldOrder
  | HavesOrder
  | PeersOrder
  | RequestOrder
  | CancelOrder
  | RejectOrder
  | UploadOrder
  | StopUploadOrder
  | AcceptOrder
  | DiscardOrder
  | CompleteOrder
  | LogOrder;

/** What one artifact has come to, for people and for reports. */
export interface ArtifactProgress {
  readonly chunksHeld: number;
  readonly chunksCount: number;
  readonly piecesHeld: number;
  readonly piecesCount: number;
  /** Verified and stored, by the role of who sent them. */
  readonly bytesFromSeeders: Bytes;
  readonly bytesFromPeers: Bytes;
  readonly bytesRefused: Bytes;
  /** Arrived twice, because the end of a transfer asks two peers. */
  readonly bytesDiscarded: Bytes;
  readonly bytesSent: Bytes;
  readonly links: number;
  /** For a person: what the artifact waits for; undefined when complete. */
  readonly waits: Waits | undefined;
}
