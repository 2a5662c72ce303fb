// What a link was asked for and hasn't sent yet: the frames that may come, and on which lane. Everything
// else that comes is refused before it costs memory. Bounded by the scheduler, which opens the requests.
import { voidedRequestsMax } from "@shoal/core/limits";
import type { Bytes } from "@shoal/core/units";

/** Where the chunks of an artifact lie, as its manifest says. */
export interface ChunkPlaces {
  readonly chunkBytes: Uint32Array;
  readonly chunkOffset: (chunk: number) => Bytes;
}

interface OpenRequest {
  readonly end: number;
  readonly chunkBytes: Uint32Array;
  /** The bulk socket that should bring it; 0 for the stream. */
  readonly lane: number;
  readonly openedMs: number;
  next: number;
  /** Where the next chunk begins in the artifact. */
  offset: Bytes;
}

export class OpenRequests {
  readonly #open: Map<number, OpenRequest> = new Map();
  /** Hears how long each took that was answered whole. */
  readonly #answered: (ms: number) => void;
  /** Requests of lost bulk sockets: the other side may still end them, on the stream. */
  readonly #voided: Set<number> = new Set();

  constructor(answered: (ms: number) => void) {
    this.#answered = answered;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Chunks `first` … `first + count - 1` of an artifact were asked for. */
  open(
    request: number,
    first: number,
    count: number,
    { chunkBytes, chunkOffset }: ChunkPlaces,
    lane: number = 0,
  ): void {
    this.#voided.delete(request);
    this.#open.set(request, {
      next: first,
      end: first + count,
      chunkBytes,
      lane,
      offset: chunkOffset(first),
      openedMs: performance.now(),
    });
  }

  /**
   * Whether a frame with this head may come on this lane: a run of whole chunks that are next in an open
   * request, or the end of one. The stream may end any request: its bulk socket may be gone over there.
   */
  expects(lane: number, request: number, chunk: number, length: number): boolean {
    const open = this.#open.get(request);
    if (open === undefined) return lane === 0 && length === 0 && this.#voided.has(request);
    if (length === 0) return open.lane === lane || lane === 0;
    return open.lane === lane && chunk === open.next && chunksIn(open, length) > 0;
  }

  /** Where the next run of an open request begins in its artifact. */
  offsetOf(request: number): Bytes {
    return this.#open.get(request)?.offset ?? 0;
  }

  /** Whether this is about a request whose bulk socket was lost. */
  isVoided(request: number): boolean {
    return this.#voided.has(request);
  }

  /** An expected run has come. Answers how many chunks it has. */
  advance(request: number, length: number): number {
    const open = this.#open.get(request);
    if (open === undefined) return 0;
    const count = chunksIn(open, length);
    open.next += count;
    open.offset += length;
    if (open.next < open.end) return count;
    this.#open.delete(request);
    this.#answered(performance.now() - open.openedMs);
    return count;
  }

  /**
   * A request was ended on a lane: refused, or lost when its own lane is gone over there. What had been
   * voided before nobody waits for.
   */
  end(lane: number, request: number): "refused" | "lost" | "known" {
    const open = this.#open.get(request);
    if (open === undefined) {
      this.#voided.delete(request);
      return "known";
    }
    this.#open.delete(request);
    if (open.lane === lane) return "refused";
    // Some of it may still be on its way on its own lane.
    this.#addVoided(request);
    return "lost";
  }

  /** A bulk socket is gone: answers the requests that it owed, which are closed by that. */
  voidLane(lane: number): readonly number[] {
    const owed: number[] = [];
    for (const [request, open] of this.#open) if (open.lane === lane) owed.push(request);
    for (const request of owed) {
      this.#open.delete(request);
      this.#addVoided(request);
    }
    return owed;
  }

  isOwedBy(lane: number): boolean {
    for (const open of this.#open.values()) if (open.lane === lane) return true;
    return false;
  }

  #addVoided(request: number): void {
    this.#voided.add(request);
    for (const oldest of this.#voided) {
      if (this.#voided.size <= voidedRequestsMax) return;
      this.#voided.delete(oldest);
    }
  }
}

/** How many of the next chunks are exactly so many bytes; 0 when none are. */
function chunksIn({ next, end, chunkBytes }: OpenRequest, length: number): number {
  let left = length;
  for (let chunk = next; chunk < end && left > 0; chunk += 1) {
    left -= chunkBytes[chunk] ?? Infinity;
    if (left === 0) return chunk + 1 - next;
  }
  return 0;
}
