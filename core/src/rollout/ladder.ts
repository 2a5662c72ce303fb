// How far a switch rule's share must rise to open so many more hosts: what seeders report, so that the
// engine never opens more than it means to. Exact where one seeder counts a region; with several, a
// bound from above.
import type { Rung } from "./rollout-events.ts";

/**
 * Rungs over the shares of reporting hosts that aren't open, in rising order: for 0, 1, 2, 3, 4, 6, 8,
 * 12 … hosts and for all of them. Empty when there are none.
 */
export function makeLadder(closedShares: readonly number[]): Rung[] {
  const all = closedShares.length;
  if (all === 0) return [];
  const counts = [0];
  for (let step = 1; step < all; step *= 2) {
    counts.push(step);
    if (step > 1 && step * 1.5 < all) counts.push(step * 1.5);
  }
  return [
    ...counts.map((hosts) => ({ hosts, share: closedShares[hosts] ?? 1 })),
    { hosts: all, share: 1 },
  ];
}

/** One ladder of several seeders' hosts. A rung's share opens at most that many; none opens nobody. */
export function mergeLadders(ladders: readonly (readonly Rung[])[]): Rung[] {
  const shares = [...new Set(ladders.flatMap((ladder) => ladder.map(({ share }) => share)))];
  const merged: Rung[] = [];
  for (const share of shares.toSorted((a, b) => a - b)) {
    const hosts = ladders.reduce((sum, ladder) => sum + opensAtMost(ladder, share), 0);
    if (merged.at(-1)?.hosts === hosts) merged.pop();
    if (hosts > 0) merged.push({ hosts, share });
  }
  return merged;
}

function opensAtMost(ladder: readonly Rung[], share: number): number {
  return ladder.find((rung) => rung.share >= share)?.hosts ?? ladder.at(-1)?.hosts ?? 0;
}
