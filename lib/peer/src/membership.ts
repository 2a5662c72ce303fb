// One artifact of a node, on the side of the storage: reads chunks that are to be sent, checks the hash
// of received ones and stores them. Decides nothing about peers.
import type { Manifest } from "@shoal/core/content/manifest";
import { digest, digestBytes, digestEquals } from "@shoal/core/digest";
import { ShoalError } from "@shoal/core/error";
import type { ArtifactSlot } from "@shoal/core/swarm/events";
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
  progress(membership: SwarmMembership): SwarmProgress;
  left(membership: SwarmMembership): void;
}

export class SwarmMembership implements Membership {
  readonly slot: ArtifactSlot;
  readonly cid: string;
  readonly manifest: Manifest;
  readonly done: Promise<void>;
  readonly #storage: ArtifactStorage;
  readonly #host: MembershipHost;
  readonly #completion: PromiseWithResolvers<void> = Promise.withResolvers();
  /** Reads and writes under way: whoever leaves may then close the files. */
  readonly #pending: Set<Promise<unknown>> = new Set();
  #lastProgress: SwarmProgress | undefined;
  #hasLeft = false;

  constructor(slot: ArtifactSlot, options: JoinOptions, host: MembershipHost) {
    this.slot = slot;
    this.cid = options.cid;
    this.manifest = options.manifest;
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

  progress(): SwarmProgress {
    return this.#lastProgress ?? this.#host.progress(this);
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
    this.#lastProgress = this.#host.progress(this);
    this.#hasLeft = true;
    this.#completion.reject(error);
    this.#host.left(this);
  }

  /** A held chunk. Rejects when it can't be read, or isn't as long as it should be. */
  async read(chunk: number): Promise<Uint8Array> {
    const [bytes] = await this.#track(this.#storage.read(chunk, 1));
    if (bytes !== undefined && bytes.length === this.manifest.chunkBytes[chunk]) return bytes;
    throw new ShoalError("chunk_damaged", `chunk ${chunk} isn't as long as it should be`, {
      blame: "environment",
    });
  }

  /** Stores a received chunk if its hash is right; false when it isn't. Rejects with `storage_failed`. */
  async accept(chunk: number, bytes: Uint8Array): Promise<boolean> {
    const { chunkHashes } = this.manifest;
    const hash = chunkHashes.subarray(chunk * digestBytes, (chunk + 1) * digestBytes);
    if (!digestEquals(digest(bytes), hash)) return false;
    try {
      await this.#track(this.#storage.write(chunk, bytes));
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ShoalError("storage_failed", `chunk ${chunk} can't be stored: ${reason}`, {
        blame: "environment",
        cause,
      });
    }
    return true;
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
