// What the scheduler did, for people, tests and reports: the same in the agent and in the simulator.
import type { ArtifactCid, PeerId } from "../ids.ts";
import type { Bytes, Millis, PieceIndex } from "../units.ts";
import type { DropReason } from "./events.ts";

interface At {
  readonly at: Millis;
}
interface OfArtifact extends At {
  readonly artifact: ArtifactCid;
}
interface OfPiece extends OfArtifact {
  readonly piece: PieceIndex;
  readonly peer: PeerId;
}

export type SwarmLogEvent =
  /** This node became a member. */
  | (OfArtifact & {
      readonly type: "joined";
      readonly chunksHeld: number;
      readonly piecesCount: number;
    })
  /** A person stopped the download, or let it go on. */
  | (OfArtifact & { readonly type: "paused" | "resumed" })
  /** This node left. */
  | (OfArtifact & { readonly type: "left" })
  | (At & { readonly type: "linkOpened"; readonly peer: PeerId })
  /** A link ended by itself. */
  | (At & { readonly type: "linkClosed"; readonly peer: PeerId })
  /** A link was ended by us. */
  | (At & { readonly type: "peerDropped"; readonly peer: PeerId; readonly reason: DropReason })
  /** A dial came to nothing, for the how manieth time in a row. */
  | (At & { readonly type: "dialFailed"; readonly peer: PeerId; readonly failures: number })
  /** Only with `logPieces`. */
  | (OfPiece & { readonly type: "pieceRequested"; readonly bytes: Bytes })
  /** Every chunk of a piece is verified and stored; the peer sent its last one. Only with `logPieces`. */
  | (OfPiece & { readonly type: "pieceStored" })
  /** A chunk that wasn't what was asked for. */
  | (OfPiece & { readonly type: "chunkRefused" })
  /** A peer didn't deliver in time; what it was asked for goes elsewhere. */
  | (At & { readonly type: "requestsStalled"; readonly peer: PeerId; readonly requests: number })
  /** A chunk that should be held couldn't be read; its piece isn't offered any more. */
  | (OfArtifact & { readonly type: "pieceWithdrawn"; readonly piece: PieceIndex })
  /** Every chunk is held. */
  | (OfArtifact & { readonly type: "completed" });
