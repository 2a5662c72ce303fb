// Watches what every scheduler of a world orders, and stops the run at the first order that none may
// give: the safety of the swarm. It keeps its own books, from orders and facts alone, and knows nothing
// of what the scheduler thinks.
import type { PieceMap } from "@shoal/core/content/pieces";
import { requestsPerLinkMax } from "@shoal/core/limits";
import { hasBit } from "@shoal/core/swarm/bitfield";
import type { SwarmConfig } from "@shoal/core/swarm/config";
import type { SwarmInput, SwarmOutput } from "@shoal/core/swarm/events";
import type { Bytes, ChunkIndex, Millis, PieceIndex } from "@shoal/core/units";
import type { Inspector, SimHost } from "./sim-host.ts";

/** A request that a host sent and that hasn't ended. */
interface Open {
  readonly link: number;
  readonly firstChunk: ChunkIndex;
  readonly count: number;
  arrived: number;
  isCancelled: boolean;
}

interface Books {
  readonly open: Map<number, Open>;
  readonly storing: Set<ChunkIndex>;
  /** Asked for and not cancelled, or being stored. */
  bytesOpen: Bytes;
  /** Uploads by link: a link has one at a time. */
  readonly uploads: Set<number>;
  /** Ordered to be sent to other zones, ever. */
  bytesFar: Bytes;
}

export interface CheckerDeps {
  readonly pieces: PieceMap;
  readonly now: Millis;
  /** Whether the other end of a host's link is in another zone. */
  readonly isFar: (host: SimHost, link: number) => boolean;
}

export class Checker implements Inspector {
  readonly #deps: CheckerDeps;
  readonly #books: Map<SimHost, Books> = new Map();
  /** The first order that was wrong, for people; undefined while all is well. */
  violation: string | undefined;

  constructor(deps: CheckerDeps) {
    this.#deps = deps;
  }

  /** A host is about to be told something. */
  before(host: SimHost, input: SwarmInput): void {
    const books = this.#booksOf(host);
    switch (input.type) {
      case "chunkReceived":
        return this.#received(books, input.request, input.chunk);
      case "chunkStored":
      case "chunkRefused":
        if (books.storing.delete(input.chunk)) books.bytesOpen -= this.#bytes(input.chunk, 1);
        return undefined;
      case "rejectReceived":
        return this.#end(books, input.request);
      case "uploadEnded":
        books.uploads.delete(input.link);
        return undefined;
      case "linkClosed":
        return this.#cut(books, input.link);
      default:
        return undefined;
    }
  }

  /** It was told, and all its orders were carried out. */
  after(host: SimHost, input: SwarmInput): void {
    if (input.type !== "chunkStored") return;
    const books = this.#booksOf(host);
    for (const open of books.open.values()) {
      if (!open.isCancelled && covers(open, input.chunk) && this.#isMoot(host, books, open)) {
        this.#fail(host, `goes on asking for chunk ${input.chunk}, which it holds`);
      }
    }
  }

  ordered(host: SimHost, output: SwarmOutput, config: SwarmConfig): void {
    const books = this.#booksOf(host);
    switch (output.type) {
      case "request":
        return this.#requested(host, books, output, config);
      case "cancel":
        return this.#cancelled(books, output.request);
      case "accept":
        books.storing.add(output.chunk);
        books.bytesOpen += this.#bytes(output.chunk, 1);
        return undefined;
      case "haves":
        for (const piece of output.pieces.subarray(0, output.count)) this.#mayOffer(host, piece);
        return undefined;
      case "bitfield":
        for (let piece = 0; piece < this.#deps.pieces.count; piece += 1) {
          if (hasBit(output.pieces, piece)) this.#mayOffer(host, piece);
        }
        return undefined;
      case "upload":
        return this.#uploads(host, books, output, config);
      case "drop":
        return this.#cut(books, output.link);
      case "complete":
        return this.#mustHold(host, "is complete without", 0, this.#deps.pieces.chunksCount);
      default:
        return undefined;
    }
  }

  /** What a dead host had open is nothing to the one that comes back. */
  died(host: SimHost): void {
    this.#books.delete(host);
  }

  #requested(
    host: SimHost,
    books: Books,
    order: Extract<SwarmOutput, { type: "request" }>,
    { downloadBytesOpenMax, endgameCopies }: SwarmConfig,
  ): void {
    const { link, request, firstChunk, count } = order;
    if (books.bytesOpen >= downloadBytesOpenMax) {
      this.#fail(host, `asks for more with ${books.bytesOpen} bytes open`);
    }
    let onLink = 1;
    for (const open of books.open.values()) if (open.link === link) onLink += 1;
    if (onLink > requestsPerLinkMax) this.#fail(host, `has ${onLink} requests open on a link`);
    for (let chunk = firstChunk; chunk < firstChunk + count; chunk += 1) {
      let copies = 1;
      for (const open of books.open.values()) {
        if (!open.isCancelled && covers(open, chunk)) copies += 1;
      }
      if (copies > endgameCopies) this.#fail(host, `asks ${copies} links for chunk ${chunk}`);
      if (hasBit(host.held, chunk)) this.#fail(host, `asks for chunk ${chunk}, which it holds`);
    }
    books.open.set(request, { link, firstChunk, count, arrived: 0, isCancelled: false });
    books.bytesOpen += this.#bytes(firstChunk, count);
  }

  #uploads(
    host: SimHost,
    books: Books,
    { link, firstChunk, count }: Extract<SwarmOutput, { type: "upload" }>,
    { uploadSlots, farBytesPerMs, farBurstBytes }: SwarmConfig,
  ): void {
    this.#mustHold(host, "passes on, and doesn't hold,", firstChunk, count);
    books.uploads.add(link);
    if (books.uploads.size > uploadSlots) {
      this.#fail(host, `sends to ${books.uploads.size} links at once`);
    }
    if (!this.#deps.isFar(host, link)) return;
    // One upload may begin while a byte is left; what it takes beyond is missing to the next.
    const allowed = farBurstBytes + farBytesPerMs * this.#deps.now;
    if (books.bytesFar > allowed) this.#fail(host, `sent ${books.bytesFar} bytes to other zones`);
    books.bytesFar += this.#bytes(firstChunk, count);
  }

  #received(books: Books, request: number, chunk: ChunkIndex): void {
    const open = books.open.get(request);
    if (open === undefined) return;
    open.arrived += 1;
    if (!open.isCancelled) books.bytesOpen -= this.#bytes(chunk, 1);
    if (open.arrived === open.count) books.open.delete(request);
  }

  #cancelled(books: Books, request: number): void {
    const open = books.open.get(request);
    if (open === undefined || open.isCancelled) return;
    books.bytesOpen -= this.#left(open);
    open.isCancelled = true;
  }

  #end(books: Books, request: number): void {
    this.#cancelled(books, request);
    books.open.delete(request);
  }

  #cut(books: Books, link: number): void {
    books.uploads.delete(link);
    for (const [request, open] of books.open) if (open.link === link) this.#end(books, request);
  }

  #mayOffer(host: SimHost, piece: PieceIndex): void {
    const { pieces } = this.#deps;
    this.#mustHold(
      host,
      "offers, and doesn't hold,",
      pieces.firstChunk(piece),
      pieces.chunkCount(piece),
    );
  }

  #mustHold(host: SimHost, what: string, first: ChunkIndex, count: number): void {
    for (let chunk = first; chunk < first + count; chunk += 1) {
      if (!hasBit(host.held, chunk)) return this.#fail(host, `${what} chunk ${chunk}`);
    }
  }

  #isMoot(host: SimHost, { storing }: Books, { firstChunk, count, arrived }: Open): boolean {
    for (let chunk = firstChunk + arrived; chunk < firstChunk + count; chunk += 1) {
      if (!hasBit(host.held, chunk) && !storing.has(chunk)) return false;
    }
    return true;
  }

  #left({ firstChunk, count, arrived }: Open): Bytes {
    return this.#bytes(firstChunk + arrived, count - arrived);
  }

  #bytes(first: ChunkIndex, count: number): Bytes {
    const { pieces } = this.#deps;
    return pieces.chunkOffset(first + count) - pieces.chunkOffset(first);
  }

  #booksOf(host: SimHost): Books {
    const known = this.#books.get(host);
    if (known !== undefined) return known;
    const [bytesOpen, bytesFar] = [0, 0];
    const sets = { open: new Map(), storing: new Set<number>(), uploads: new Set<number>() };
    const books: Books = { ...sets, bytesOpen, bytesFar };
    this.#books.set(host, books);
    return books;
  }

  #fail(host: SimHost, what: string): void {
    this.violation ??= `at ${this.#deps.now} ms host ${host.index} ${what}`;
  }
}

function covers({ firstChunk, count, arrived }: Open, chunk: ChunkIndex): boolean {
  return chunk >= firstChunk + arrived && chunk < firstChunk + count;
}
