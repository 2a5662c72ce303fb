// The blocks of one long manifest on this host: in memory while they are fetched, out of the release's
// folder once the manifest is there, and served to others for as long as the artifact is.
import { open } from "node:fs/promises";
import { blockAt, type ManifestBlocks } from "@shoal/core/content/manifest-blocks";
import { chunkHashOf } from "@shoal/core/content/manifest";
import { digest, digestEquals } from "@shoal/core/digest";
import { ShoalError } from "@shoal/core/error";
import type { ArtifactCid } from "@shoal/core/ids";
import { manifestBlockBytes } from "@shoal/core/limits";
import { bitfieldOf, setBit } from "@shoal/core/swarm/bitfield";
import type { ArtifactStorage, Membership, PeerNode } from "@shoal/peer/peer-node";

/** A host's part in the swarm of a manifest's blocks. */
export interface ManifestSwarm {
  readonly membership: Membership;
  readonly storage: ManifestStorage;
}

/** Joins it with what the storage has. `partOf` is the artifact. */
export function joinManifestSwarm(
  node: Pick<PeerNode, "join">,
  { partOf, priority }: { readonly partOf: ArtifactCid; readonly priority: number },
  storage: ManifestStorage,
): ManifestSwarm {
  const { blocks } = storage;
  const membership = node.join({ cid: blocks.name, partOf, manifest: blocks, storage, priority });
  // Whoever waits for it hears of its end.
  membership.done.catch(() => undefined);
  return { membership, storage };
}

export class ManifestStorage implements ArtifactStorage {
  readonly blocks: ManifestBlocks;
  /** Undefined once it lies in a file. */
  #bytes: Uint8Array | undefined;
  #path = "";
  readonly #held: Uint8Array;

  /** Of a manifest that is still to come, or of one whose bytes are given. */
  constructor(blocks: ManifestBlocks, bytes?: Uint8Array) {
    this.blocks = blocks;
    this.#bytes = bytes ?? new Uint8Array(blocks.bytes);
    const count = blocks.chunkBytes.length;
    this.#held = bitfieldOf(count);
    if (bytes !== undefined)
      for (let block = 0; block < count; block += 1) setBit(this.#held, block);
  }

  /** The manifest, while it is in memory. */
  get bytes(): Uint8Array | undefined {
    return this.#bytes;
  }

  /** From now on it is read from this file, and takes no memory. */
  moveTo(path: string): void {
    this.#path = path;
    this.#bytes = undefined;
  }

  heldChunks(): Uint8Array {
    return this.#held;
  }

  async readRun(first: number, count: number, into: Uint8Array): Promise<void> {
    if (this.#bytes !== undefined) {
      into.set(blockAt(this.#bytes, first, count));
      return;
    }
    const file = await open(this.#path, "r");
    try {
      await file.read(into, 0, into.length, first * manifestBlockBytes);
    } finally {
      await file.close();
    }
    for (let block = 0; block < count; block += 1) {
      const hash = chunkHashOf(this.blocks, first + block);
      // The file may have been damaged since; whoever passes on wrong bytes is banned for it.
      if (digestEquals(digest(blockAt(into, block, 1)), hash)) continue;
      const message = `block ${first + block} of ${this.#path} isn't what it was`;
      throw new ShoalError("chunk_withdrawn", message, { blame: "environment" });
    }
  }

  async writeRun(first: number, _count: number, bytes: Uint8Array): Promise<void> {
    this.#bytes?.set(bytes, first * manifestBlockBytes);
  }
}
