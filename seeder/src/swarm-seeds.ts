// The seeder as a member of the swarm: it serves every held artifact that a goal of the region names, and
// the blocks of its manifest when that is a long one.
import { blockAt, type ManifestBlocks } from "@shoal/core/content/manifest-blocks";
import type { ArtifactCid } from "@shoal/core/ids";
import type { ChunkStore } from "@shoal/store/chunk-store";
import type { ArtifactStorage, JoinOptions, Membership, PeerNode } from "@shoal/peer/peer-node";
import { digestBytes } from "@shoal/core/digest";
import { ShoalError } from "@shoal/core/error";
import type { HeldArtifact, RegionStore } from "./region/region-store.ts";

type Store = Pick<RegionStore, "chunks" | "manifestBytes" | "manifestBlocks">;

export class SwarmSeeds {
  readonly #node: Pick<PeerNode, "join">;
  readonly #store: Store;
  readonly #memberships: Map<ArtifactCid, readonly Membership[]> = new Map();

  constructor(node: Pick<PeerNode, "join">, store: Store) {
    this.#node = node;
    this.#store = store;
  }

  /** Joins what is in the list and leaves what isn't any more. */
  async serve(artifacts: readonly HeldArtifact[]): Promise<void> {
    const wanted = new Map(artifacts.map((artifact) => [artifact.cid, artifact]));
    for (const [cid, memberships] of this.#memberships) {
      if (wanted.has(cid)) continue;
      this.#memberships.delete(cid);
      for (const membership of memberships) await membership.leave();
    }
    for (const { cid, manifest } of artifacts) {
      if (this.#memberships.has(cid)) continue;
      const storage = new HeldStorage(this.#store.chunks, manifest.chunkHashes);
      const blocks = await this.#store.manifestBlocks(cid);
      const memberships = [this.#join({ cid, manifest, storage, priority: 0 })];
      this.#memberships.set(cid, memberships);
      if (blocks === undefined) continue;
      const ofBlocks = new BlockStorage(this.#store, cid, blocks);
      const options = { cid: blocks.name, partOf: cid, manifest: blocks, storage: ofBlocks };
      memberships.push(this.#join({ ...options, priority: 0 }));
    }
  }

  #join(options: JoinOptions): Membership {
    const membership = this.#node.join(options);
    // Nothing is missing, so `done` resolves; it rejects when the node stops first.
    membership.done.catch(() => undefined);
    return membership;
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
    return allOf(this.#hashes);
  }

  readRun(firstChunk: number, count: number, into: Uint8Array): Promise<void> {
    const [start, end] = [firstChunk * digestBytes, (firstChunk + count) * digestBytes];
    return this.#chunks.readRun(this.#hashes.subarray(start, end), into);
  }

  writeRun(): Promise<void> {
    return fetchesNothing();
  }
}

/** The blocks of a held artifact's manifest. */
class BlockStorage implements ArtifactStorage {
  readonly #store: Pick<RegionStore, "manifestBytes">;
  readonly #cid: ArtifactCid;
  readonly #blocks: ManifestBlocks;

  constructor(store: Pick<RegionStore, "manifestBytes">, cid: ArtifactCid, blocks: ManifestBlocks) {
    this.#store = store;
    this.#cid = cid;
    this.#blocks = blocks;
  }

  heldChunks(): Uint8Array {
    return allOf(this.#blocks.chunkHashes);
  }

  async readRun(firstBlock: number, count: number, into: Uint8Array): Promise<void> {
    const manifest = await this.#store.manifestBytes(this.#cid);
    if (manifest === undefined) {
      const message = `the manifest of ${this.#cid} is gone`;
      throw new ShoalError("blob_missing", message, { blame: "environment" });
    }
    into.set(blockAt(manifest, firstBlock, count));
  }

  writeRun(): Promise<void> {
    return fetchesNothing();
  }
}

function allOf(hashes: Uint8Array): Uint8Array {
  return new Uint8Array(Math.ceil(hashes.length / digestBytes / 8)).fill(0xff);
}

async function fetchesNothing(): Promise<never> {
  throw new ShoalError("assertion_failed", "a seeder fetches nothing from the swarm", {
    blame: "local",
  });
}
