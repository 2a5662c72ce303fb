// The part of reuse that moves no bytes: where the file system can share blocks, whole files that didn't change
// from one release to another are cloned.
import { chunkHashOf, type Manifest } from "@shoal/core/content/manifest";
import { toHex } from "@shoal/core/digest";
import type { Bytes, ChunkIndex } from "@shoal/core/units";
import { join } from "node:path";
import { FileRanges } from "./file-ranges.ts";
import { treeName } from "./release-records.ts";

/** Where clones go: `ReleaseFiles`. */
export interface CloneTarget {
  readonly manifest: Manifest;
  holds(chunk: ChunkIndex): boolean;
  cloneFile(file: number, from: string): Promise<Bytes | "gone" | "unable">;
}

/**
 * Clones files that are the same in both, as far as one chunk and their size tell; which of their chunks
 * really are is told by hashes afterwards. One after another: no bytes are moved.
 */
export async function cloneUnchanged(
  target: CloneTarget,
  other: { readonly dir: string; readonly manifest: Manifest; readonly ranges: FileRanges },
  signal: AbortSignal | undefined,
): Promise<{ readonly chunksCount: number; readonly bytes: Bytes }> {
  const likely = new Map<string, number>();
  for (const file of other.ranges.files.keys()) {
    const sign = signOf(other.manifest, other.ranges, file);
    if (sign !== undefined) likely.set(sign, file);
  }
  const ranges = new FileRanges(target.manifest);
  let chunksCount = 0;
  let bytes = 0;
  for (const file of ranges.files.keys()) {
    signal?.throwIfAborted();
    const sign = signOf(target.manifest, ranges, file);
    const from = other.ranges.files[likely.get(sign ?? "") ?? -1];
    if (from === undefined || holdsAnyOf(target, ranges, file)) continue;
    const result = await target.cloneFile(file, join(other.dir, treeName, from.path));
    if (result === "unable") break;
    if (result === "gone") continue;
    bytes += result;
    chunksCount += ranges.chunksWithin(file).filter((chunk) => target.holds(chunk)).length;
  }
  return { chunksCount, bytes };
}

/** Size, and place and hash of the first chunk that lies whole in a file; undefined when none does. */
function signOf(manifest: Manifest, ranges: FileRanges, file: number): string | undefined {
  const chunk = ranges.chunksWithin(file)[0];
  if (chunk === undefined) return undefined;
  return `${ranges.files[file]?.bytes} ${ranges.offsetIn(file, chunk)} ${toHex(chunkHashOf(manifest, chunk))}`;
}

function holdsAnyOf(target: CloneTarget, ranges: FileRanges, file: number): boolean {
  const { firstChunk, count } = ranges.chunksOf(file);
  for (let chunk = firstChunk; chunk < firstChunk + count; chunk += 1) {
    if (target.holds(chunk)) return true;
  }
  return false;
}
