// Which hosts a wave opens. Invariant, tested: what one wave opened, every later one keeps open, and
// a wave that isn't the last one never names more hosts than its target.
import type { HostId } from "../ids.ts";
import { switchHostsMax } from "../limits.ts";
import type { SwitchRule } from "./goal.ts";
import { hostShare } from "./host-share.ts";
import type { RegionCounts, Wave } from "./rollout-events.ts";
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

/**
 * The rules that open a wave, for every region; `before` has those of the wave before. The first of
 * several waves opens in one region only: the one with the most hosts that report.
 */
export function openWave(
  plan: readonly Wave[],
  index: number,
  salt: string,
  regions: readonly RegionCounts[],
  before: Readonly<Record<string, SwitchRule>>,
): Record<string, SwitchRule> {
  const wave = plan[index];
  const rules: Record<string, SwitchRule> = { ...before };
  if (wave === undefined) return rules;
  if (index === plan.length - 1) {
    for (const { region } of regions) rules[region] = { type: "all" };
    return rules;
  }
  const first = index === 0 ? regionToBeginWith(regions) : undefined;
  const candidates = first === undefined ? regions : [first];
  const total = candidates.reduce((sum, counts) => sum + hostsOf(counts), 0);
  // A fleet that grew since the plan was made gets its share of the wave; the first wave is a number.
  const target = index === 0 ? wave.hosts : Math.max(wave.hosts, Math.floor(wave.share * total));
  const allotted = allot(target, candidates);
  for (const [position, counts] of candidates.entries()) {
    const rule = ruleFor(allotted[position] ?? 0, counts, salt, before[counts.region]);
    if (rule !== undefined) rules[counts.region] = rule;
  }
  return rules;
}

export function hostsOf(counts: RegionCounts): number {
  return counts.reporting + counts.silent;
}

/** How many of a region's hosts a rule opens, as well as one can tell without asking them. */
export function openEstimate(rule: SwitchRule | undefined, counts: RegionCounts): number {
  if (rule === undefined || rule.type === "none") return 0;
  if (rule.type === "all") return hostsOf(counts);
  return rule.type === "hosts" ? rule.hosts.length : Math.ceil(rule.share * hostsOf(counts));
}

function regionToBeginWith(regions: readonly RegionCounts[]): RegionCounts | undefined {
  let best: RegionCounts | undefined;
  for (const counts of regions) {
    if (counts.firstHosts.length === 0) continue;
    if (best === undefined || counts.reporting > best.reporting) best = counts;
  }
  return best;
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

function ruleFor(
  wanted: number,
  counts: RegionCounts,
  salt: string,
  before: SwitchRule | undefined,
): SwitchRule | undefined {
  if (before?.type === "all") return before;
  const named = before?.type === "hosts" ? before.hosts : [];
  if (wanted === 0) return before;
  if (before?.type !== "share" && wanted <= switchHostsMax) {
    const hosts = nameHosts(wanted, counts.firstHosts, named);
    return hosts.length === 0 ? before : { type: "hosts", hosts };
  }
  // A share has to take in everybody who was named or shared before.
  let share = Math.max(
    wanted / Math.max(1, hostsOf(counts)),
    before?.type === "share" ? before.share : 0,
  );
  for (const host of named) share = Math.max(share, hostShare(salt, host) + Number.EPSILON);
  return { type: "share", share: Math.min(1, share) };
}

/** Those named before, filled up to the wanted number with the first others. */
function nameHosts(
  wanted: number,
  firstHosts: readonly HostId[],
  named: readonly HostId[],
): HostId[] {
  const hosts = [...named];
  for (const host of firstHosts) {
    if (hosts.length >= wanted) break;
    if (!hosts.includes(host)) hosts.push(host);
  }
  return hosts;
}
