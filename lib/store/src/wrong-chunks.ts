// Reads chunks from the files of a tree and holds them to their hashes.
import { digest, digestEquals } from "@shoal/core/digest";
import { chunkHashOf, type Manifest } from "@shoal/core/content/manifest";
import type { ChunkIndex } from "@shoal/core/units";
import { forEachInLanes } from "./bounded-lanes.ts";
import type { FileRanges } from "./file-ranges.ts";
import { LaneBuffers } from "./lane-buffers.ts";
import type { TreeFiles } from "./tree-files.ts";

/** Chunks that are read at once: at most this many MiB in memory. */
const lanesCount = 4;

/** Of some chunks those that can't be read or have other bytes, in order. */
export async function findWrongChunks(
  manifest: Pick<Manifest, "chunkHashes">,
  tree: { readonly files: TreeFiles; readonly ranges: FileRanges },
  chunks: Iterable<ChunkIndex>,
): Promise<ChunkIndex[]> {
  const { files, ranges } = tree;
  const wrong: ChunkIndex[] = [];
  const buffers = new LaneBuffers();
  await forEachInLanes(chunks, lanesCount, async (chunk) => {
    const bytes = buffers.take(ranges.bytesOf(chunk, 1));
    const isRead = await files.read(ranges.rangesOf(chunk, 1), bytes).then(
      () => true,
      () => false,
    );
    if (!isRead || !digestEquals(digest(bytes), chunkHashOf(manifest, chunk))) wrong.push(chunk);
    buffers.give(bytes);
  });
  buffers.close();
  return wrong.toSorted((a, b) => a - b);
}
