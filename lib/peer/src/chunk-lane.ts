// What carries chunks between the two ends of a link, as frames of runs of chunks: a libp2p stream
// (stream-lane.ts), or a bulk socket for each direction (bulk/). Which of them, link-lanes.ts says.
import type { Bytes, Millis } from "@shoal/core/units";

/** The sending side. */
export interface ChunkLane {
  /** Longest run in one frame, as of now. */
  readonly runBytesMax: Bytes;
  /** Memory for a frame with a run of so many bytes, behind `dataHeadBytes` for its head. */
  frame(runBytes: Bytes): Uint8Array;
  /**
   * Sends a frame that `frame` gave, which is the lane's from then on. Resolves when the lane takes
   * more, and rejects when it is gone or the peer reads too slowly.
   */
  send(frame: Uint8Array): Promise<void>;
  /** Ends a request without the rest of its chunks. */
  end(request: number): void;
  abort(reason: unknown): void;
}

/** The receiving side. */
export interface LaneListener {
  /** Whether this frame is due; `false` ends the lane. Asked before memory is taken. */
  expects(head: {
    readonly request: number;
    readonly chunk: number;
    readonly length: number;
  }): boolean;
  /** How far beyond a block's boundary the run of an expected frame lies in its artifact. */
  phase(request: number): Bytes;
  /** Bytes came. Answers how long to read no more; asked again then, with none. */
  pauseMs(bytes: Bytes): Millis;
  /** A run of whole chunks came; its memory is the listener's, who may give it back by `release`. */
  run(request: number, chunk: number, bytes: Uint8Array, release: () => void): void;
  /** A request was ended by a frame, without the rest of its chunks. */
  requestEnded(request: number): void;
  /** Comes once. */
  ended(error: unknown): void;
}
