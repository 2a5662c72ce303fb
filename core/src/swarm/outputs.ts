// Orders that wait to be polled. Those of the hot path are records that are filled again and again, so
// that a chunk, a request or a have allocates nothing: a polled record is valid until the next poll.
import type { ChunkIndex } from "../units.ts";
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

/** One shape for every hot order keeps the code that reads them fast; unused fields are zero. */
interface HotRecord {
  type: HotType;
  link: LinkId;
  artifact: ArtifactSlot;
  request: RequestId;
  firstChunk: ChunkIndex;
  chunk: ChunkIndex;
  pieces: Uint32Array;
  count: number;
}

const noPieces = new Uint32Array(0);
const haveBufferPieces = 32;

export class Outputs {
  readonly #queue: SwarmOutput[] = [];
  #head = 0;
  readonly #spareRecords: HotRecord[] = [];
  readonly #spareBuffers: Uint32Array[] = [];
  #polled: HotRecord | undefined;

  push(output: SwarmOutput): void {
    this.#queue.push(output);
  }

  poll(): SwarmOutput | undefined {
    if (this.#polled !== undefined) this.#recycle(this.#polled);
    this.#polled = undefined;
    const output = this.#queue[this.#head];
    if (output === undefined) {
      this.#queue.length = 0;
      this.#head = 0;
      return undefined;
    }
    this.#head += 1;
    if ("firstChunk" in output && "chunk" in output) this.#polled = output as HotRecord;
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
    const record = this.#spareRecords.pop() ?? {
      type,
      link,
      artifact: 0,
      request,
      firstChunk: 0,
      chunk: 0,
      pieces: noPieces,
      count: 0,
    };
    record.type = type;
    record.link = link;
    record.request = request;
    this.#queue.push(record);
    return record;
  }

  #recycle(record: HotRecord): void {
    if (record.pieces.length > 0) this.#spareBuffers.push(record.pieces);
    record.pieces = noPieces;
    this.#spareRecords.push(record);
  }
}
