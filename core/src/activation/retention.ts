// Which artifacts on a host's disk may go: those that nobody names and nobody uses, once they are more
// than the disk budget for old ones. Older releases are kept up to there, because a newer one is made
// of their chunks for the most part. Pure; the driver removes.
import type { ArtifactCid } from "../ids.ts";
import type { Bytes, Millis } from "../units.ts";

export interface ArtifactOnDisk {
  readonly cid: ArtifactCid;
  /** What it takes on disk, also when it isn't complete. */
  readonly bytes: Bytes;
  /** When a goal last named it; wall clock or monotonic, the same for all. */
  readonly namedAt: Millis;
}

export interface RetentionRules {
  /** Named by a goal, running, or being fetched. */
  readonly inUse: ReadonlySet<ArtifactCid>;
  /** For artifacts that aren't in use. */
  readonly oldBytesMax: Bytes;
  /** More of them go, however small. */
  readonly oldCountMax: number;
}

/** The artifacts to remove, in that order: what was named longest ago goes first. */
export function artifactsToRemove(
  onDisk: readonly ArtifactOnDisk[],
  { inUse, oldBytesMax, oldCountMax }: RetentionRules,
): ArtifactCid[] {
  const old = onDisk
    .filter(({ cid }) => !inUse.has(cid))
    .toSorted((a, b) => b.namedAt - a.namedAt || (a.cid < b.cid ? -1 : 1));
  const removed: ArtifactCid[] = [];
  let keptBytes = 0;
  let keptCount = 0;
  for (const { cid, bytes } of old) {
    if (keptCount < oldCountMax && keptBytes + bytes <= oldBytesMax) {
      keptBytes += bytes;
      keptCount += 1;
    } else removed.push(cid);
  }
  return removed.toReversed();
}
