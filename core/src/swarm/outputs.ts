// Orders that wait to be polled. Those of the hot path are records that are filled again and again, so
// that a chunk, a request or a have allocates nothing: a polled record is valid until the next poll.
import type { ChunkIndex, PieceIndex } from "../units.ts";
import type { ArtifactSlot, LinkId, RequestId, SwarmOutput } from "./events.ts";

type HotType =
  | "accept"
  | "cancel"
  | "discard"
  | "haves"
  | "reject"
  | "request"
  | "stopUpload"
  | "upload";

const noPieces = new Uint32Array(0);

/** One shape for every hot order keeps the code that reads them fast; unused fields are zero. */
class HotRecord {
  type: HotType = "accept";
  link: LinkId = 0;
  artifact: ArtifactSlot = 0;
  request: RequestId = 0;
  firstChunk: ChunkIndex = 0;
  chunk: ChunkIndex = 0;
  pieces: Uint32Array = noPieces;
  count = 0;
}

const haveBufferPieces = 32;
/** A queue that became longer, as when a seeder tells all its links something, isn't kept. */
const queueKept = 256;

export class Outputs {
  /** From head to tail; places before and after keep what was there, so that the array stays. */
  #queue: (SwarmOutput | undefined)[] = [];
  #head = 0;
  #tail = 0;
  readonly #spareRecords: HotRecord[] = [];
  readonly #spareBuffers: Uint32Array[] = [];
  #polled: HotRecord | undefined;

  push(output: SwarmOutput): void {
    this.#queue[this.#tail] = output;
    this.#tail += 1;
  }

  poll(): SwarmOutput | undefined {
    if (this.#polled !== undefined) this.#recycle(this.#polled);
    this.#polled = undefined;
    if (this.#head === this.#tail) {
      if (this.#tail > queueKept) this.#queue = [];
      this.#head = 0;
      this.#tail = 0;
      return undefined;
    }
    const output = this.#queue[this.#head];
    this.#head += 1;
    if (output instanceof HotRecord) this.#polled = output;
    // What isn't used again is let go.
    else this.#queue[this.#head - 1] = undefined;
    return output;
  }

  request(
    link: LinkId,
    artifact: ArtifactSlot,
    request: RequestId,
    firstChunk: ChunkIndex,
    count: number,
  ): void {
    this.#run("request", link, artifact, request, firstChunk, count);
  }

  upload(
    link: LinkId,
    artifact: ArtifactSlot,
    request: RequestId,
    firstChunk: ChunkIndex,
    count: number,
  ): void {
    this.#run("upload", link, artifact, request, firstChunk, count);
  }

  cancel(link: LinkId, request: RequestId): void {
    this.#hot("cancel", link, request);
  }

  reject(link: LinkId, request: RequestId): void {
    this.#hot("reject", link, request);
  }

  stopUpload(link: LinkId, request: RequestId): void {
    this.#hot("stopUpload", link, request);
  }

  accept(link: LinkId, request: RequestId, artifact: ArtifactSlot, chunk: ChunkIndex): void {
    const record = this.#hot("accept", link, request);
    record.artifact = artifact;
    record.chunk = chunk;
  }

  discard(link: LinkId, request: RequestId, chunk: ChunkIndex): void {
    this.#hot("discard", link, request).chunk = chunk;
  }

  /** Takes the buffer; it comes back by `spareBuffer` when the order was carried out. */
  haves(link: LinkId, artifact: ArtifactSlot, pieces: Uint32Array, count: number): void {
    const record = this.#hot("haves", link, 0);
    record.artifact = artifact;
    record.pieces = pieces;
    record.count = count;
  }

  /** Haves of the pieces from one place of a list up to another, which are copied, and of one besides. */
  completed(
    link: LinkId,
    artifact: ArtifactSlot,
    pieces: Uint16Array,
    from: number,
    end: number,
    last?: PieceIndex,
  ): void {
    const listed = end - from;
    const count = last === undefined ? listed : listed + 1;
    let buffer = this.spareBuffer();
    if (buffer.length < count) buffer = new Uint32Array(2 ** Math.ceil(Math.log2(count)));
    for (let at = 0; at < listed; at += 1) buffer[at] = pieces[from + at] as number;
    if (last !== undefined) buffer[listed] = last;
    this.haves(link, artifact, buffer, count);
  }

  /** An empty buffer for haves, of no particular length but zero. */
  spareBuffer(): Uint32Array {
    return this.#spareBuffers.pop() ?? new Uint32Array(haveBufferPieces);
  }

  #run(
    type: HotType,
    link: LinkId,
    artifact: ArtifactSlot,
    request: RequestId,
    firstChunk: ChunkIndex,
    count: number,
  ): void {
    const record = this.#hot(type, link, request);
    record.artifact = artifact;
    record.firstChunk = firstChunk;
    record.count = count;
  }

  #hot(type: HotType, link: LinkId, request: RequestId): HotRecord {
    const record = this.#spareRecords.pop() ?? new HotRecord();
    record.type = type;
    record.link = link;
    record.request = request;
    this.push(record);
    return record;
  }

  #recycle(record: HotRecord): void {
    if (record.pieces.length > 0) this.#spareBuffers.push(record.pieces);
    record.pieces = noPieces;
    this.#spareRecords.push(record);
  }
}
