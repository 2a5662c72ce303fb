// Which chunks a running upload has sent. A builder may name in its manifest only chunks that it
// sent itself or that its project's artifacts have: nobody claims another project's chunks by hash.
// Kept in memory: after a restart a builder asks again and sends again what isn't in an artifact.
import { ShoalError } from "@shoal/core/error";
import { uploadChunksMax, uploadIdleMsMax, uploadsChunksMax, uploadsMax } from "@shoal/core/limits";
import { HashTable } from "@shoal/store/hash-table";

interface Upload {
  readonly chunks: HashTable;
  touchedAtMs: number;
}

export class Uploads {
  readonly #uploads: Map<string, Upload> = new Map();

  /** Remembers a chunk of the upload of one lease. Throws `uploads_full` beyond the limits. */
  add(lease: string, hash: Uint8Array, nowMs: number): void {
    const upload = this.#of(lease, nowMs);
    upload.touchedAtMs = nowMs;
    if (upload.chunks.has(hash)) return;
    if (upload.chunks.size >= uploadChunksMax) throw full("This upload has sent too many chunks.");
    if (this.#chunksCount() >= uploadsChunksMax) throw full("Uploads have sent too many chunks.");
    upload.chunks.add(hash);
  }

  has(lease: string, hash: Uint8Array): boolean {
    return this.#uploads.get(lease)?.chunks.has(hash) === true;
  }

  /** Whether any running upload sent the chunk: a collection of garbage keeps it. */
  isNamed(hash: Uint8Array): boolean {
    for (const upload of this.#uploads.values()) if (upload.chunks.has(hash)) return true;
    return false;
  }

  /** The upload has become an artifact, or its lease has ended. */
  end(lease: string): void {
    this.#uploads.delete(lease);
  }

  /** Forgets uploads that sent nothing for a long time: their builders are gone. */
  expire(nowMs: number): void {
    for (const [lease, upload] of this.#uploads) {
      if (nowMs - upload.touchedAtMs > uploadIdleMsMax) this.#uploads.delete(lease);
    }
  }

  #of(lease: string, nowMs: number): Upload {
    const known = this.#uploads.get(lease);
    if (known !== undefined) return known;
    this.expire(nowMs);
    if (this.#uploads.size >= uploadsMax) throw full("Too many uploads run at once.");
    const upload = { chunks: new HashTable(), touchedAtMs: nowMs };
    this.#uploads.set(lease, upload);
    return upload;
  }

  #chunksCount(): number {
    let count = 0;
    for (const { chunks } of this.#uploads.values()) count += chunks.size;
    return count;
  }
}

function full(message: string): ShoalError {
  return new ShoalError("uploads_full", message, { blame: "environment", retryable: true });
}
