// Artifacts with made-up bytes for the tests of this package.
import type { Manifest, ManifestEntry } from "@shoal/core/content/manifest";
import { digest } from "@shoal/core/digest";
import { Prng } from "@shoal/core/prng";

export interface Artifact {
  readonly manifest: Manifest;
  readonly chunks: readonly Uint8Array[];
}

/** An artifact whose chunks have these sizes, so that many chunks and files can be small. */
export function artifactOf(
  entries: readonly ManifestEntry[],
  chunkSizes: readonly number[],
  seed: number = 1,
): Artifact {
  const prng = new Prng(seed);
  const chunks = chunkSizes.map((size) => Uint8Array.from({ length: size }, () => prng.below(256)));
  return {
    chunks,
    manifest: {
      kind: "tree",
      entries,
      bytes: chunkSizes.reduce((sum, size) => sum + size, 0),
      chunkHashes: Uint8Array.from(chunks.flatMap((chunk) => [...digest(chunk)])),
      chunkBytes: Uint32Array.from(chunkSizes),
    },
  };
}

/** Files that share chunks, chunks that span files, and everything that an entry can be. */
export const typicalArtifact = (seed: number = 1): Artifact =>
  artifactOf(
    [
      { type: "directory", path: "bin", mode: 0o755 },
      { type: "file", path: "bin/app", mode: 0o755, bytes: 1000 },
      { type: "link", path: "bin/old", target: "../lib/x/data" },
      { type: "file", path: "empty", mode: 0o644, bytes: 0 },
      { type: "file", path: "lib/x/data", mode: 0o666, bytes: 700 },
      { type: "directory", path: "locked", mode: 0o500 },
      { type: "file", path: "locked/z", mode: 0, bytes: 1 },
    ],
    [300, 500, 250, 1, 649, 1],
    seed,
  );
