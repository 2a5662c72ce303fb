// Which hosts a wave opens. Invariants, tested: what one wave opened, every later one keeps open, and
// never more reporting hosts are opened at once than the limit that was given.
import type { HostId } from "../ids.ts";
import { switchHostsMax } from "../limits.ts";
import type { SwitchRule } from "./goal.ts";
import type { RegionCounts, RolloutState, Wave } from "./rollout-events.ts";
import type { WaveSize } from "./rollout-policy.ts";

/** The waves for a fleet of that many hosts: those that would open nobody new are left out. */
export function planWaves(sizes: readonly WaveSize[], hosts: number): Wave[] {
  const plan: Wave[] = [];
  let reached = 0;
  for (const size of sizes) {
    const wanted = size.type === "hosts" ? size.hosts : Math.ceil(size.share * hosts - 1e-9);
    if (wanted <= reached || wanted >= hosts) continue;
    plan.push({ hosts: wanted, share: wanted / hosts });
    reached = wanted;
  }
  plan.push({ hosts, share: 1 });
  return plan;
}

type Opening = Pick<RolloutState, "rules" | "opened">;

/**
 * Opens at most `limit` more reporting hosts of the wave `index`, or answers null when it has nobody
 * left to open. The first of several waves opens in one region only: where most hosts report.
 */
export function openMore(
  plan: readonly Wave[],
  index: number,
  limit: number,
  regions: readonly RegionCounts[],
  before: Opening,
): Opening | null {
  const wave = plan[index];
  if (wave === undefined) return null;
  const isFirst = index === 0 && plan.length > 1;
  const candidates = isFirst ? regionToBeginWith(regions, before) : regions;
  const total = candidates.reduce((sum, counts) => sum + hostsOf(counts), 0);
  // A fleet that grew since the plan was made gets its share of the wave; the first wave is a number.
  const target = isFirst ? wave.hosts : Math.max(wave.hosts, Math.floor(wave.share * total));
  const open = candidates.reduce((sum, counts) => sum + openOf(counts, before.opened), 0);
  let left = Math.min(limit, target - open);
  const allotted = allot(target, candidates);
  const rules = { ...before.rules };
  const opened = { ...before.opened };
  let hasChanged = false;
  for (const [position, counts] of candidates.entries()) {
    const { region } = counts;
    const share = (allotted[position] ?? 0) - openOf(counts, before.opened);
    const wider = widen(Math.min(left, share), counts, rules[region]);
    if (wider === null) continue;
    rules[region] = wider.rule;
    opened[region] = counts.open + wider.hosts;
    left -= wider.hosts;
    hasChanged = true;
  }
  return hasChanged ? { rules, opened } : null;
}

/** The rules that open everybody of these regions. */
export function openAll(regions: readonly RegionCounts[], before: Opening): Opening {
  const rules = { ...before.rules };
  const opened = { ...before.opened };
  for (const { region, reporting } of regions) {
    rules[region] = { type: "all" };
    opened[region] = reporting;
  }
  return { rules, opened };
}

export function hostsOf(counts: RegionCounts): number {
  return counts.reporting + counts.silent;
}

/** Hosts that were opened and that nobody has heard of or misses: their seeder has just started, say. */
export function unseenOf(counts: RegionCounts, opened: Readonly<Record<string, number>>): number {
  return Math.max(0, (opened[counts.region] ?? 0) - counts.open - counts.openSilent);
}

/** How many of a region's hosts a rule opens, as well as one can tell without asking them. */
export function openEstimate(rule: SwitchRule | undefined, counts: RegionCounts): number {
  if (rule === undefined || rule.type === "none") return 0;
  if (rule.type === "all") return hostsOf(counts);
  if (rule.type === "hosts") return rule.hosts.length;
  return Math.ceil(rule.share * hostsOf(counts)) + rule.hosts.length;
}

function openOf(counts: RegionCounts, opened: Readonly<Record<string, number>>): number {
  return counts.open + counts.openSilent + unseenOf(counts, opened);
}

/** The one where it has begun, else the one with the most hosts that report. */
function regionToBeginWith(regions: readonly RegionCounts[], before: Opening): RegionCounts[] {
  const begun = regions.find(({ region }) => before.rules[region] !== undefined);
  if (begun !== undefined) return [begun];
  let best: RegionCounts | undefined;
  for (const counts of regions) {
    if (counts.firstHosts.length === 0) continue;
    if (best === undefined || counts.reporting > best.reporting) best = counts;
  }
  return best === undefined ? [] : [best];
}

/** Splits a target over regions in proportion to their hosts, by largest remainder: sums to the target. */
function allot(target: number, regions: readonly RegionCounts[]): number[] {
  const total = regions.reduce((sum, counts) => sum + hostsOf(counts), 0);
  if (total === 0) return regions.map(() => 0);
  const exact = regions.map((counts) => Math.min(1, target / total) * hostsOf(counts));
  const allotted = exact.map(Math.floor);
  const byRemainder = exact
    .map((value, position) => ({ position, remainder: value - Math.floor(value) }))
    .toSorted((a, b) => b.remainder - a.remainder || a.position - b.position);
  let left = Math.min(target, total) - allotted.reduce((sum, value) => sum + value, 0);
  for (const { position } of byRemainder) {
    if (left <= 0) break;
    allotted[position] = (allotted[position] ?? 0) + 1;
    left -= 1;
  }
  return allotted;
}

/**
 * A rule that opens at most `more` further reporting hosts, and how many it opens. Few are named;
 * more are given by their share, with those named before kept beside it.
 */
function widen(
  more: number,
  counts: RegionCounts,
  before: SwitchRule | undefined,
): { readonly rule: SwitchRule; readonly hosts: number } | null {
  if (more <= 0 || before?.type === "all") return null;
  const named: readonly HostId[] =
    before?.type === "hosts" || before?.type === "share" ? before.hosts : [];
  if (before?.type !== "share" && named.length + more <= switchHostsMax) {
    const known = new Set(named);
    const fresh = counts.firstHosts.filter((host) => !known.has(host)).slice(0, more);
    if (fresh.length === 0) return null;
    return { rule: { type: "hosts", hosts: [...named, ...fresh] }, hosts: fresh.length };
  }
  const shareMin = before?.type === "share" ? before.share : 0;
  const rung = counts.ladder.findLast(({ hosts, share }) => hosts <= more && share > shareMin);
  if (rung === undefined) return null;
  return { rule: { type: "share", share: rung.share, hosts: named }, hosts: rung.hosts };
}
