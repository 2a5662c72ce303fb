// Manifests as bytes, kept for those who ask next: at a deploy every host of a region asks for the
// same one. They are named by their content, so nothing here is ever stale.
import { blocksOf, isInBlocks, type ManifestBlocks } from "@shoal/core/content/manifest-blocks";
import type { ArtifactCid } from "@shoal/core/ids";
import type { Bytes } from "@shoal/core/units";

export class ManifestCache {
  readonly #load: (cid: ArtifactCid) => Promise<Uint8Array | undefined>;
  readonly #bytesMax: Bytes;
  /** In the order of their last use: the first goes first. */
  readonly #kept: Map<ArtifactCid, Uint8Array> = new Map();
  /** Loads under way, so that a thousand askers cost one. */
  readonly #loading: Map<ArtifactCid, Promise<Uint8Array | undefined>> = new Map();
  /** Of manifests that are kept. */
  readonly #blocks: WeakMap<Uint8Array, ManifestBlocks> = new WeakMap();
  #bytes = 0;

  constructor(load: (cid: ArtifactCid) => Promise<Uint8Array | undefined>, bytesMax: Bytes) {
    this.#load = load;
    this.#bytesMax = bytesMax;
  }

  /** The manifest's bytes, not to be changed, or undefined when there is none. */
  get(cid: ArtifactCid): Promise<Uint8Array | undefined> {
    const kept = this.#kept.get(cid);
    if (kept !== undefined) {
      this.#kept.delete(cid);
      this.#kept.set(cid, kept);
      return Promise.resolve(kept);
    }
    const loading = this.#loading.get(cid) ?? this.#loadAndKeep(cid);
    this.#loading.set(cid, loading);
    return loading;
  }

  /** What a manifest travels in; undefined for one that is short, or isn't there. */
  async blocks(cid: ArtifactCid): Promise<ManifestBlocks | undefined> {
    const bytes = await this.get(cid);
    if (bytes === undefined || !isInBlocks(bytes.length)) return undefined;
    const blocks = this.#blocks.get(bytes) ?? blocksOf(bytes);
    this.#blocks.set(bytes, blocks);
    return blocks;
  }

  async #loadAndKeep(cid: ArtifactCid): Promise<Uint8Array | undefined> {
    try {
      const bytes = await this.#load(cid);
      if (bytes !== undefined && bytes.length <= this.#bytesMax) this.#keep(cid, bytes);
      return bytes;
    } finally {
      this.#loading.delete(cid);
    }
  }

  #keep(cid: ArtifactCid, bytes: Uint8Array): void {
    this.#kept.set(cid, bytes);
    this.#bytes += bytes.length;
    for (const [oldest, dropped] of this.#kept) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#kept.delete(oldest);
      this.#bytes -= dropped.length;
    }
  }
}
