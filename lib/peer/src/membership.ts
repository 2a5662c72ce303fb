// One artifact of a node, on the side of the storage: reads chunks that are to be sent, checks the hash
// of received ones and stores them. Decides nothing about peers.
import { chunkHashOf, type ChunkList } from "@shoal/core/content/manifest";
import type { PieceMap } from "@shoal/core/content/pieces";
import { digest, digestEquals } from "@shoal/core/digest";
import { ShoalError } from "@shoal/core/error";
import type { ArtifactCid } from "@shoal/core/ids";
import type { ArtifactSlot, ReuseEnded } from "@shoal/core/swarm/events";
import type { Bytes } from "@shoal/core/units";
import type { ChunkPlaces } from "./open-requests.ts";
import type {
  ArtifactStorage,
  JoinOptions,
  Membership,
  PeerCandidate,
  SwarmProgress,
} from "./peer-node.ts";

/** What a membership asks of the node that it belongs to. */
export interface MembershipHost {
  offer(membership: SwarmMembership, peers: readonly PeerCandidate[]): void;
  setPaused(membership: SwarmMembership, paused: boolean): void;
  reuseEnded(type: ReuseEnded["type"], firstChunk: number, count: number): void;
  progress(membership: SwarmMembership): Omit<SwarmProgress, "stillMs">;
  left(membership: SwarmMembership): void;
}

export class SwarmMembership implements Membership {
  readonly slot: ArtifactSlot;
  readonly cid: ArtifactCid;
  /** Whose permissions count. */
  readonly artifact: ArtifactCid;
  readonly manifest: ChunkList;
  readonly priority: number;
  /** Where its chunks lie. */
  readonly places: ChunkPlaces;
  readonly done: Promise<void>;
  readonly #storage: ArtifactStorage;
  readonly #host: MembershipHost;
  readonly #completion: PromiseWithResolvers<void> = Promise.withResolvers();
  /** Reads and writes under way: whoever leaves may then close the files. */
  readonly #pending: Set<Promise<unknown>> = new Set();
  #lastProgress: SwarmProgress | undefined;
  #hasLeft = false;
  /** When the last chunk was stored; at first when the node joined. */
  #storedMs = performance.now();

  constructor(
    slot: ArtifactSlot,
    options: JoinOptions & { readonly pieces: PieceMap },
    host: MembershipHost,
  ) {
    this.slot = slot;
    this.cid = options.cid;
    this.artifact = options.partOf ?? options.cid;
    this.manifest = options.manifest;
    this.priority = options.priority;
    const { manifest, pieces } = options;
    this.places = { chunkBytes: manifest.chunkBytes, chunkOffset: pieces.chunkOffset };
    this.#storage = options.storage;
    this.#host = host;
    this.done = this.#completion.promise;
    // A seeder needn't wait for it.
    this.done.catch(() => undefined);
  }

  get hasLeft(): boolean {
    return this.#hasLeft;
  }

  addPeers(peers: readonly PeerCandidate[]): void {
    if (!this.#hasLeft) this.#host.offer(this, peers);
  }

  setPaused(paused: boolean): void {
    if (!this.#hasLeft) this.#host.setPaused(this, paused);
  }

  reused(firstChunk: number, count: number): void {
    if (this.#hasLeft) return;
    this.#storedMs = performance.now();
    this.#host.reuseEnded("chunksReused", firstChunk, count);
  }

  reuseFailed(firstChunk: number, count: number): void {
    if (!this.#hasLeft) this.#host.reuseEnded("reuseFailed", firstChunk, count);
  }

  progress(): SwarmProgress {
    return this.#lastProgress ?? this.#progressNow();
  }

  async leave(): Promise<void> {
    this.fail(new ShoalError("swarm_left", "the node left the artifact", { blame: "local" }));
    await Promise.allSettled(this.#pending);
  }

  complete(): void {
    this.#completion.resolve();
  }

  /** Leaves with a reason; `done` rejects with it unless everything is held. */
  fail(error: ShoalError): void {
    if (this.#hasLeft) return;
    this.#lastProgress = this.#progressNow();
    this.#hasLeft = true;
    this.#completion.reject(error);
    this.#host.left(this);
  }

  /** Fills `into` with a run of held chunks. Rejects when one can't be read. */
  async read(firstChunk: number, count: number, into: Uint8Array): Promise<void> {
    await this.#track(this.#storage.readRun(firstChunk, count, into));
  }

  /**
   * Stores those of a run of received chunks whose hashes are right. Answers which, once they are
   * stored. Rejects with `storage_failed`.
   */
  async accept(firstChunk: number, count: number, bytes: Uint8Array): Promise<readonly boolean[]> {
    const isRight = this.#verify(firstChunk, count, bytes);
    try {
      for (let index = 0, start = 0; index < count;) {
        const end = isRight.indexOf(!isRight[index], index);
        const next = end < 0 ? count : end;
        const length = this.#bytesOf(firstChunk + index, next - index);
        if (isRight[index] === true) {
          const part = bytes.subarray(start, start + length);
          await this.#track(this.#storage.writeRun(firstChunk + index, next - index, part));
        }
        start += length;
        index = next;
      }
      this.#storedMs = performance.now();
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ShoalError("storage_failed", `chunk ${firstChunk} can't be stored: ${reason}`, {
        blame: "environment",
        cause,
      });
    }
    return isRight;
  }

  #verify(firstChunk: number, count: number, bytes: Uint8Array): readonly boolean[] {
    const { chunkBytes } = this.manifest;
    const isRight: boolean[] = [];
    let start = 0;
    for (let chunk = firstChunk; chunk < firstChunk + count; chunk += 1) {
      const end = start + (chunkBytes[chunk] ?? 0);
      const hash = chunkHashOf(this.manifest, chunk);
      isRight.push(digestEquals(digest(bytes.subarray(start, end)), hash));
      start = end;
    }
    return isRight;
  }

  #bytesOf(firstChunk: number, count: number): Bytes {
    const { chunkBytes } = this.manifest;
    let bytes = 0;
    for (let chunk = firstChunk; chunk < firstChunk + count; chunk += 1) {
      bytes += chunkBytes[chunk] ?? 0;
    }
    return bytes;
  }

  #progressNow(): SwarmProgress {
    return { ...this.#host.progress(this), stillMs: performance.now() - this.#storedMs };
  }

  async #track<T>(work: Promise<T>): Promise<T> {
    this.#pending.add(work);
    try {
      return await work;
    } finally {
      this.#pending.delete(work);
    }
  }
}
