// Reads what a build left, in threads where it is large enough to be worth starting them.
import type { Manifest } from "@shoal/core/content/manifest";
import { segmentBytes } from "@shoal/core/limits";
import { openContentPool } from "@shoal/store/content-pool";
import { readTree, type OnChunk } from "@shoal/store/tree-reader";
import { scanTree } from "@shoal/store/tree-scan";

/** Segments from which on threads save more time than they take to start. */
const segmentsInThreadsMin = 4;

/** Every chunk of a file or tree in stream order; `onChunk` gets one at a time. */
export async function readArtifact(path: string, onChunk: OnChunk): Promise<Manifest> {
  const scan = await scanTree(path);
  if (scan.bytes < segmentsInThreadsMin * segmentBytes) return readTree(path, scan, onChunk);
  const work = openContentPool();
  try {
    return await readTree(path, scan, onChunk, { work });
  } finally {
    await work.close();
  }
}
