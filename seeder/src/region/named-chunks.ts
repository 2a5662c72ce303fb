// Which chunks artifacts name, and for which project: what a builder may claim without sending it, and
// what a collection of garbage must keep.
import type { Manifest } from "@shoal/core/content/manifest";
import { toHex } from "@shoal/core/digest";
import { eachHash } from "./hash-list.ts";

/** Hashes in hexadecimal, counted by the artifacts that name them. */
type Counts = Map<string, number>;

export class NamedChunks {
  readonly #projects: Map<string, Counts> = new Map();
  /** Of artifacts that are on their way. */
  readonly #expected: Counts = new Map();

  isOfProject(project: string, hash: Uint8Array): boolean {
    return this.#projects.get(project)?.has(toHex(hash)) === true;
  }

  isNamed(hash: Uint8Array): boolean {
    const hex = toHex(hash);
    if (this.#expected.has(hex)) return true;
    for (const counts of this.#projects.values()) if (counts.has(hex)) return true;
    return false;
  }

  add(project: string, manifest: Manifest): void {
    const counts: Counts = this.#projects.get(project) ?? new Map();
    this.#projects.set(project, counts);
    change(counts, manifest, 1);
  }

  remove(project: string, manifest: Manifest): void {
    const counts = this.#projects.get(project);
    if (counts === undefined) return;
    change(counts, manifest, -1);
    if (counts.size === 0) this.#projects.delete(project);
  }

  /** Names the chunks of an artifact until what is answered is called, at most once. */
  expect(manifest: Manifest): () => void {
    change(this.#expected, manifest, 1);
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      change(this.#expected, manifest, -1);
    };
  }
}

function change(counts: Counts, manifest: Manifest, by: 1 | -1): void {
  for (const hex of new Set([...eachHash(manifest.chunkHashes)].map((hash) => toHex(hash)))) {
    const count = (counts.get(hex) ?? 0) + by;
    if (count > 0) counts.set(hex, count);
    else counts.delete(hex);
  }
}
