// Sends the chunks of an artifact to a seeder, the missing ones only. Chunks gather in batches; a
// batch first asks what of it is missing, then sends that. A few batches are under way at once, and
// `add` waits when they are: memory is bounded by their number. A batch whose answer was lost asks
// again, so that what arrived isn't sent twice.
import type { SeederClient } from "@shoal/api/seeder-client";
import { digestBytes, toHex } from "@shoal/core/digest";
import { remoteError } from "@shoal/core/error";
import {
  chunkHashesPerRequestMax,
  publishBatchBytes,
  publishBatchesInFlightMax,
  publishTriesMax,
} from "@shoal/core/limits";
import { retry } from "../retry.ts";
import { publishFailure } from "./publish-failure.ts";

export type ChunkTarget = Pick<SeederClient, "missing" | "putChunks">;

interface Chunk {
  readonly hash: Uint8Array;
  readonly bytes: Uint8Array;
}

export class Uploader {
  readonly #target: ChunkTarget;
  readonly #signal: AbortSignal;
  readonly #failed: AbortController = new AbortController();
  /** Hashes that are in a batch already; an artifact may have the same chunk many times. */
  readonly #seen: Set<string> = new Set();
  /** At most `publishBatchesInFlightMax`; none of them rejects. */
  readonly #inFlight: Set<Promise<void>> = new Set();
  #batch: Chunk[] = [];
  #batchBytes = 0;
  #uploadedBytes = 0;

  constructor(target: ChunkTarget, signal: AbortSignal) {
    this.#target = target;
    this.#signal = AbortSignal.any([signal, this.#failed.signal]);
  }

  /** Bytes of the chunks that the seeder lacked, each counted once. */
  get uploadedBytes(): number {
    return this.#uploadedBytes;
  }

  /**
   * Takes a copy of a chunk; resolves when there is room for the next one.
   * @throws ShoalError `publish_failed` when a batch before it failed, or the signal's reason.
   */
  async add(hash: Uint8Array, bytes: Uint8Array): Promise<void> {
    this.#signal.throwIfAborted();
    const name = toHex(hash);
    if (this.#seen.has(name)) return;
    this.#seen.add(name);
    this.#batch.push({ hash: hash.slice(), bytes: bytes.slice() });
    this.#batchBytes += bytes.length;
    const full =
      this.#batchBytes >= publishBatchBytes || this.#batch.length >= chunkHashesPerRequestMax;
    if (full) await this.#dispatch();
  }

  /** Sends the rest and waits for all of it. */
  async finish(): Promise<void> {
    if (this.#batch.length > 0) await this.#dispatch();
    await Promise.all(this.#inFlight);
    this.#signal.throwIfAborted();
  }

  async #dispatch(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    const sending = this.#send(batch)
      .catch((error: unknown) => this.#failed.abort(publishFailure(error, this.#signal)))
      .finally(() => this.#inFlight.delete(sending));
    this.#inFlight.add(sending);
    while (this.#inFlight.size >= publishBatchesInFlightMax) await Promise.race(this.#inFlight);
    this.#signal.throwIfAborted();
  }

  async #send(batch: readonly Chunk[]): Promise<void> {
    const signal = this.#signal;
    const hashes = Buffer.concat(batch.map((chunk) => chunk.hash));
    let isFirst = true;
    const attempt = async (): Promise<void> => {
      const missing = splitHashes(await this.#target.missing(hashes, { signal }));
      const wanted = batch.filter((chunk) => missing.has(toHex(chunk.hash)));
      if (isFirst)
        this.#uploadedBytes += wanted.reduce((sum, chunk) => sum + chunk.bytes.length, 0);
      isFirst = false;
      if (wanted.length > 0) await this.#target.putChunks(wanted, { signal });
    };
    await retry(attempt, { signal, triesMax: publishTriesMax });
  }
}

function splitHashes(bytes: Uint8Array): ReadonlySet<string> {
  if (bytes.length % digestBytes !== 0) {
    throw remoteError(
      "answer_invalid",
      "A list of hashes has a length that isn't a multiple of 32.",
    );
  }
  const names = new Set<string>();
  for (let at = 0; at < bytes.length; at += digestBytes) {
    names.add(toHex(bytes.subarray(at, at + digestBytes)));
  }
  return names;
}
