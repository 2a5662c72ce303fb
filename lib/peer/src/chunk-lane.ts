// What carries chunks between the two ends of a link. A libp2p stream does (stream-lane.ts); whatever
// else can carry the same frames in order can take its place.

export interface ChunkLane {
  /**
   * Sends a chunk as the next frame of a request; resolves when the lane takes more, and rejects when
   * it is gone or the peer reads too slowly. The bytes may be read until it resolves.
   */
  send(request: number, chunk: number, bytes: Uint8Array): Promise<void>;
  /** Ends a request without the rest of its chunks. */
  end(request: number): void;
  abort(reason: unknown): void;
}

export interface LaneListener {
  /** Whether this frame is due; `false` ends the lane. Asked before memory is taken. */
  expects(head: {
    readonly request: number;
    readonly chunk: number;
    readonly length: number;
  }): boolean;
  chunk(request: number, chunk: number, bytes: Uint8Array): void;
  /** A request was ended without the rest of its chunks. */
  requestEnded(request: number): void;
  ended(error: unknown): void;
}
