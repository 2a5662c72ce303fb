// Requests of ours that aren't ended. A request's number names its place in this table and how often
// the place was used, so that a late answer to an earlier request isn't taken for one to a later.
// Places and records are used again: asking allocates nothing once the table has grown.
import { requestsOpenMax } from "../limits.ts";
import type { ChunkIndex, Millis, PieceIndex } from "../units.ts";
import type { Artifact } from "./artifact.ts";
import type { RequestId } from "./events.ts";
import type { Link } from "./peers.ts";

export interface Request {
  id: RequestId;
  isOpen: boolean;
  link: Link;
  artifact: Artifact;
  piece: PieceIndex;
  firstChunk: ChunkIndex;
  count: number;
  /** How many of its chunks have arrived: chunks answer in order. */
  arrived: number;
  isCancelled: boolean;
  sentMs: Millis;
}

export class RequestTable {
  readonly #records: Request[] = [];
  readonly #free: number[] = [];

  get isFull(): boolean {
    return this.#free.length === 0 && this.#records.length === requestsOpenMax;
  }

  find(id: RequestId): Request | undefined {
    const record = this.#records[id % requestsOpenMax];
    return record !== undefined && record.isOpen && record.id === id ? record : undefined;
  }

  /** Only when the table isn't full. */
  open(
    link: Link,
    artifact: Artifact,
    firstChunk: ChunkIndex,
    count: number,
    now: Millis,
  ): Request {
    const piece = artifact.pieces.pieceOf(firstChunk);
    const place = this.#free.pop();
    if (place === undefined) {
      const id = this.#records.length;
      const [arrived, isCancelled, isOpen, sentMs] = [0, false, true, now];
      const fresh = { id, link, artifact, piece, firstChunk, count };
      const record = { ...fresh, arrived, isCancelled, isOpen, sentMs };
      this.#records.push(record);
      return record;
    }
    const record = this.#records[place] as Request;
    record.id = nextId(record.id);
    record.isOpen = true;
    record.link = link;
    record.artifact = artifact;
    record.piece = piece;
    record.firstChunk = firstChunk;
    record.count = count;
    record.arrived = 0;
    record.isCancelled = false;
    record.sentMs = now;
    return record;
  }

  close(request: Request): void {
    request.isOpen = false;
    this.#free.push(request.id % requestsOpenMax);
  }
}

/** The number of the next request at the same place; numbers are uint32 on the wire. */
function nextId(id: RequestId): RequestId {
  return (id + requestsOpenMax) % 2 ** 32;
}
