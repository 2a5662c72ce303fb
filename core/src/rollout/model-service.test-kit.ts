// A model of one service: what a control plane keeps of it, the goals of its regions, seeders that pass
// them on and count. The engine and the desired goals are the real ones; everything else is written a
// second time, as simply as can be.
import { switchHostsMax } from "../limits.ts";
import { type GoalBody, desiredGoal } from "./desired-goal.ts";
import type { Goal, SwitchRule } from "./goal.ts";
import { type HostReportModel, type ModelHost } from "./model-host.test-kit.ts";
import { hostShare } from "./host-share.ts";
import type { Release } from "./release.ts";
import { Rollout } from "./rollout.ts";
import type { RegionCounts, RolloutInput, RolloutState } from "./rollout-events.ts";
import type { RolloutPolicy } from "./rollout-policy.ts";
import { beginRollout, isEnded, ruleOf } from "./rollout-state.ts";
import { mayRun } from "./switch-rule.ts";

export class ModelService {
  readonly regions: readonly string[];
  readonly policy: RolloutPolicy;
  current: Release | null = null;
  fallback: Release | null = null;
  readonly quarantined = new Set<string>();
  rollout: { readonly id: number; readonly release: Release; state: RolloutState } | null = null;
  readonly goals = new Map<string, Goal>();
  readonly faults: string[] = [];
  readonly #good: Release[] = [];
  #generation = 0;

  constructor(regions: readonly string[], policy: RolloutPolicy) {
    this.regions = regions;
    this.policy = policy;
  }

  isRolling(): boolean {
    return this.rollout !== null && !isEnded(this.rollout.state);
  }

  deploy(release: Release, now: number): void {
    if (this.isRolling() || this.quarantined.has(release.id)) return;
    this.#begin(release, beginRollout("deploy", `s${this.#nextId()}`, now));
  }

  /** Ahead of whatever runs. */
  rollback(staged: boolean, now: number): void {
    const deploying = this.isRolling() && this.rollout?.state.kind === "deploy";
    const bad = deploying ? (this.rollout?.release ?? null) : this.current;
    const isSound = ({ id }: Release): boolean => id !== bad?.id && !this.quarantined.has(id);
    const target = deploying && this.current !== null ? this.current : this.#good.findLast(isSound);
    if (target === undefined || bad === null || target.id === bad.id) return;
    this.#supersede(now);
    this.quarantined.add(bad.id);
    // One that was under way changed nothing yet: there is no need for waves.
    const inWaves = staged && !deploying;
    if (!inWaves) this.#set(target);
    this.#begin(target, beginRollout("rollback", `s${this.#nextId()}`, now, inWaves));
  }

  /** What a rollback left can't be given up for what it rolled back: another rollback may go ahead. */
  abort(now: number): void {
    if (this.rollout?.state.kind === "deploy") this.tell({ type: "superseded", reason: "-" }, now);
  }

  tell(input: RolloutInput, now: number): void {
    const running = this.rollout;
    if (running === null || isEnded(running.state)) return;
    // A restart between any two calls: only JSON is left.
    const state = JSON.parse(JSON.stringify(running.state)) as RolloutState;
    const engine = new Rollout(state, this.policy);
    engine.handle(input, now);
    for (let output = engine.poll(); output !== undefined; output = engine.poll()) {
      if (output.type === "quarantined") this.quarantined.add(running.release.id);
      if (output.type !== "ended" || output.phase !== "SUCCEEDED") continue;
      if (running.state.staged) this.#set(running.release);
      this.#good.push(running.release);
    }
    running.state = engine.state;
    if (engine.state.reason === "") this.faults.push("it doesn't say what it waits for");
    if ((engine.nextDeadline() ?? Infinity) <= now) this.faults.push("a deadline has passed");
    this.writeGoals();
  }

  writeGoals(): void {
    for (const region of this.regions) {
      const { current, fallback, rollout } = this;
      const body = desiredGoal({ selector: {}, current, fallback, rollout }, region);
      const before = this.goals.get(region);
      if (before !== undefined && sameBody(before, body)) continue;
      this.#generation += 1;
      this.goals.set(region, {
        ...body,
        format: "shoal.goal/v1",
        environment: "production",
        service: "web",
        region,
        epoch: 1,
        generation: this.#generation,
        issuedAt: "2026-01-01T00:00:00Z",
      });
      const isOfStagedRollback = this.rollout?.state.kind === "rollback" && this.isRolling();
      for (const release of [body.run, ...body.prepare])
        if (release !== null && this.quarantined.has(release.id) && !isOfStagedRollback)
          this.faults.push(`a goal spreads ${release.id}, which is quarantined`);
    }
  }

  ruleOf(region: string): SwitchRule {
    return this.rollout === null ? { type: "none" } : ruleOf(this.rollout.state, region);
  }

  /** In one step with what takes its place: no goal is written in between. */
  #supersede(now: number): void {
    const running = this.rollout;
    if (running === null || isEnded(running.state)) return;
    const engine = new Rollout(running.state, this.policy);
    engine.handle({ type: "superseded", reason: "a rollback" }, now);
    running.state = engine.state;
  }

  #begin(release: Release, state: RolloutState): void {
    this.rollout = { id: this.#nextId(), release, state };
    this.writeGoals();
  }

  #set(release: Release): void {
    const isOther = ({ id }: Release): boolean => id !== release.id && !this.quarantined.has(id);
    this.current = release;
    this.fallback = this.#good.findLast(isOther) ?? null;
  }

  #nextId(): number {
    return (this.rollout?.id ?? 0) + 1;
  }
}

/** A region's seeder: it passes on the goal that it has, and counts the hosts that it heard of. */
export class ModelSeeder {
  readonly region: string;
  goal: Goal | null = null;
  /** By host, in the order of the salt. */
  readonly #shares = new Map<string, number>();
  #salt = "";
  readonly #reports = new Map<string, { report: HostReportModel; silent: boolean }>();
  readonly #everHeard = new Set<string>();

  constructor(region: string) {
    this.region = region;
  }

  hear(host: ModelHost): void {
    if (!host.silent) {
      this.#reports.set(host.id, { report: host.report(), silent: false });
      this.#everHeard.add(host.id);
      return;
    }
    const known = this.#reports.get(host.id);
    if (known !== undefined) known.silent = true;
  }

  /** Whether the engine could know that there is such a host, and that it does something. */
  knowsOf(host: ModelHost): boolean {
    return this.#everHeard.has(host.id) && this.#reports.get(host.id)?.silent !== true;
  }

  /** Its hosts report again, one after the other. */
  restart(): void {
    this.#reports.clear();
  }

  count(release: string, newest: Goal | undefined, isHeard: boolean): RegionCounts {
    const { goal } = this;
    const salt = goal?.salt ?? "";
    if (salt !== this.#salt) this.#shares.clear();
    this.#salt = salt;
    const shareOf = (id: string): number => {
      const share = this.#shares.get(id) ?? hostShare(salt, id);
      this.#shares.set(id, share);
      return share;
    };
    const all = [...this.#reports.values()].toSorted(
      (a, b) => shareOf(a.report.id) - shareOf(b.report.id),
    );
    const mine = all.filter(({ silent }) => !silent).map(({ report }) => report);
    const silent = all.filter((one) => one.silent).map(({ report }) => report);
    const isOpen = ({ id }: HostReportModel): boolean =>
      goal !== null && mayRun(goal.switch, salt, id);
    const hasFailed = ({ failed }: HostReportModel): boolean =>
      failed?.release === release && failed.rollout === goal?.rollout;
    const closed = mine.filter((report) => !isOpen(report));
    const rungs = [1, 2, 4, 8, 16, 32, 64, 128].filter((count) => count < closed.length);
    return {
      region: this.region,
      current: isHeard && goal !== null && goal.generation === newest?.generation,
      reporting: mine.length,
      silent: silent.length,
      open: mine.filter(isOpen).length,
      openSilent: silent.filter(isOpen).length,
      firstHosts: mine.slice(0, switchHostsMax).map(({ id }) => id),
      ladder: [...rungs, closed.length].flatMap((hosts) => {
        const next = closed[hosts];
        return hosts === 0 ? [] : [{ hosts, share: next === undefined ? 1 : shareOf(next.id) }];
      }),
      holding: mine.filter(({ holding }) => holding.includes(release)).length,
      running: mine.filter(({ running }) => running === release).length,
      healthy: mine.filter((r) => r.running === release && r.healthy && !hasFailed(r)).length,
      failed: mine.filter(hasFailed).length,
    };
  }
}

function sameBody(goal: Goal, body: GoalBody): boolean {
  const { rollout, prepare, run, fallback, switch: rule, salt, selector } = goal;
  const before: GoalBody = { rollout, prepare, run, fallback, switch: rule, salt, selector };
  return (Object.keys(body) as (keyof GoalBody)[]).every(
    (key) => JSON.stringify(before[key]) === JSON.stringify(body[key]),
  );
}
