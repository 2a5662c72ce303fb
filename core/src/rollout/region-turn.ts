// Whose turn it is when a rollout goes from region to region.
import type { RegionCounts, RolloutState } from "./rollout-events.ts";
import type { RolloutPolicy } from "./rollout-policy.ts";

/**
 * The region that the rollout is in: the one it began, while that is in service, else the first in
 * order that wasn't done yet, else the last of those that were. Null when all go together.
 */
export function regionInTurn(
  state: Pick<RolloutState, "region" | "regionsDone" | "staged">,
  policy: Pick<RolloutPolicy, "regions" | "regionOrder">,
  all: readonly RegionCounts[],
): RegionCounts | null {
  if (policy.regions === "together" || !state.staged) return null;
  const begun = all.find(({ region }) => region === state.region);
  if (begun !== undefined) return begun;
  const place = ({ region }: RegionCounts): number => {
    const index = policy.regionOrder.indexOf(region);
    return index === -1 ? policy.regionOrder.length : index;
  };
  const ordered = all.toSorted(
    (a, b) => place(a) - place(b) || (a.region < b.region ? -1 : Number(a.region > b.region)),
  );
  const next = ordered.find(({ region }) => !state.regionsDone.includes(region));
  return next ?? ordered.at(-1) ?? null;
}
