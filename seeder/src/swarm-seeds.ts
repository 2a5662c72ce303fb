// The seeder as a member of the swarm: it serves every held artifact that a goal of the region names.
import type { ArtifactCid } from "@shoal/core/ids";
import type { ChunkStore } from "@shoal/store/chunk-store";
import type { ArtifactStorage, Membership, PeerNode } from "@shoal/peer/peer-node";
import { digestBytes } from "@shoal/core/digest";
import { ShoalError } from "@shoal/core/error";
import type { HeldArtifact } from "./region/region-store.ts";

export class SwarmSeeds {
  readonly #node: Pick<PeerNode, "join">;
  readonly #chunks: ChunkStore;
  readonly #memberships: Map<ArtifactCid, Membership> = new Map();

  constructor(node: Pick<PeerNode, "join">, chunks: ChunkStore) {
    this.#node = node;
    this.#chunks = chunks;
  }

  /** Joins what is in the list and leaves what isn't any more. */
  async serve(artifacts: readonly HeldArtifact[]): Promise<void> {
    const wanted = new Map(artifacts.map((artifact) => [artifact.cid, artifact]));
    for (const [cid, membership] of this.#memberships) {
      if (wanted.has(cid)) continue;
      this.#memberships.delete(cid);
      await membership.leave();
    }
    for (const { cid, manifest } of artifacts) {
      if (this.#memberships.has(cid)) continue;
      const storage = new HeldStorage(this.#chunks, manifest.chunkHashes);
      const membership = this.#node.join({ cid, manifest, storage, priority: 0 });
      // Nothing is missing, so `done` resolves; it rejects when the node stops first.
      membership.done.catch(() => undefined);
      this.#memberships.set(cid, membership);
    }
  }
}

/** Every chunk of a held artifact, out of the region's store. */
class HeldStorage implements ArtifactStorage {
  readonly #chunks: ChunkStore;
  readonly #hashes: Uint8Array;

  constructor(chunks: ChunkStore, hashes: Uint8Array) {
    this.#chunks = chunks;
    this.#hashes = hashes;
  }

  heldChunks(): Uint8Array {
    return new Uint8Array(Math.ceil(this.#hashes.length / digestBytes / 8)).fill(0xff);
  }

  readRun(firstChunk: number, count: number, into: Uint8Array): Promise<void> {
    const [start, end] = [firstChunk * digestBytes, (firstChunk + count) * digestBytes];
    return this.#chunks.readRun(this.#hashes.subarray(start, end), into);
  }

  async writeRun(): Promise<void> {
    throw new ShoalError("assertion_failed", "a seeder fetches nothing from the swarm", {
      blame: "local",
    });
  }
}
