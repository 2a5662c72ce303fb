// What a link was asked for and hasn't sent yet: the frames that may come. Everything else that comes
// is refused before it costs memory. Bounded by the scheduler, which opens the requests.

interface OpenRequest {
  readonly end: number;
  readonly chunkBytes: Uint32Array;
  next: number;
}

export class OpenRequests {
  readonly #open: Map<number, OpenRequest> = new Map();

  /** Chunks `first` … `first + count - 1` were asked for; `chunkBytes` are the manifest's. */
  open(request: number, first: number, count: number, chunkBytes: Uint32Array): void {
    this.#open.set(request, { next: first, end: first + count, chunkBytes });
  }

  /** Whether a frame with this head is the next one of an open request, or the end of one. */
  expects(request: number, chunk: number, length: number): boolean {
    const open = this.#open.get(request);
    if (open === undefined) return false;
    return length === 0 || (chunk === open.next && length === open.chunkBytes[chunk]);
  }

  /** The expected frame has come. */
  advance(request: number): void {
    const open = this.#open.get(request);
    if (open === undefined) return;
    open.next += 1;
    if (open.next === open.end) this.#open.delete(request);
  }

  close(request: number): void {
    this.#open.delete(request);
  }
}
