// The rollout engine: the way of one release to all hosts of a service, wave by wave. A state machine
// over plain JSON: the driver keeps `state` in the database and makes the machine anew from it.
//
// Invariants, held by property tests: hosts beyond the open ones may never switch; what is open stays
// open until the end; hosts are opened only while fewer than `maxUnavailable` open ones aren't healthy;
// a halted rollout opens nobody; a rollout that hasn't ended says what it waits for. Whether the old
// release is well is never looked at: the way forward doesn't depend on it. A rollback that isn't
// staged passes through no waves and isn't halted by failures: there is nothing to go to.
import type { Millis } from "../units.ts";
import { describeEnd, describeWait } from "./describe-rollout.ts";
import type { RegionCounts, RolloutInput, RolloutOutput, RolloutState } from "./rollout-events.ts";
import type { RolloutPolicy } from "./rollout-policy.ts";
import { isEnded } from "./rollout-state.ts";
import { regionInTurn } from "./region-turn.ts";
import {
  type FleetCounts,
  failsTooOften,
  isPrepared,
  lateHosts,
  sumCounts,
  suspiciousSilent,
  unavailableHosts,
  unavailableHostsMax,
} from "./verdict.ts";
import { hostsOf, openAll, openMore, planWaves } from "./waves.ts";

export class Rollout {
  readonly #policy: RolloutPolicy;
  readonly #outputs: RolloutOutput[] = [];
  #state: RolloutState;

  constructor(state: RolloutState, policy: RolloutPolicy) {
    this.#state = state;
    this.#policy = policy;
  }

  /** To be saved together with carrying out what `poll` answers. */
  get state(): RolloutState {
    return this.#state;
  }

  handle(input: RolloutInput, now: Millis): void {
    if (isEnded(this.#state)) return;
    this.#set({ nowMs: Math.max(now, this.#state.nowMs) });
    switch (input.type) {
      case "superseded":
        this.#end("ABORTED", input.reason);
        return;
      case "held":
        this.#set({ held: { by: input.by, reason: input.reason } });
        this.#waitHeld();
        return;
      case "released":
        if (this.#state.held === null) return;
        // What happened meanwhile is judged from here on: nobody could move.
        this.#set({ held: null, sinceMs: this.#state.nowMs, doneSinceMs: null });
        this.#wait("goes on: waits for counts of the regions", false);
        return;
      case "deadline":
        // Deadlines are judged with counts: the driver reports, and the judgment reads the clock.
        return;
      case "reported":
        this.#judge(input.regions);
        return;
    }
  }

  poll(): RolloutOutput | undefined {
    return this.#outputs.shift();
  }

  /** When the passing of time alone may change something. */
  nextDeadline(): Millis | undefined {
    const { phase, sinceMs, doneSinceMs, dataMs, emptySinceMs, nowMs } = this.#state;
    if (isEnded(this.#state)) return undefined;
    const { prepareMs, waveMs, bakeMs, regionBakeMs, noDataMs, emptyMs } = this.#policy;
    const moments = [
      phase === "PREPARING" ? sinceMs + prepareMs : sinceMs + waveMs,
      dataMs + noDataMs,
      ...(emptySinceMs === null ? [] : [emptySinceMs + emptyMs]),
      ...(doneSinceMs === null ? [] : [doneSinceMs + bakeMs, doneSinceMs + regionBakeMs]),
    ].filter((moment) => moment > nowMs);
    return moments.length === 0 ? undefined : Math.min(...moments);
  }

  #judge(all: readonly RegionCounts[]): void {
    const regions = this.#takeTurns(all);
    const sums = sumCounts(regions, this.#state);
    if (this.#haltsOn(sums) || this.#haltsOn(sumCounts(all, this.#state))) return;
    const isKnown = sums.regionsWithoutData.length === 0;
    if (isKnown) this.#takeData(regions);
    if (this.#state.held !== null) {
      this.#waitHeld();
      return;
    }
    if (!isKnown) {
      this.#waitForData(sums.regionsWithoutData);
      return;
    }
    if (sums.hosts === 0) {
      this.#seeNobody(all);
      return;
    }
    this.#set({ emptySinceMs: null });
    if (this.#state.phase === "PREPARING") this.#prepare(regions, sums);
    else this.#switch(all, regions, sums);
  }

  /** The regions that are looked at now: all of them, or the one whose turn it is. */
  #takeTurns(all: readonly RegionCounts[]): readonly RegionCounts[] {
    const inTurn = regionInTurn(this.#state, this.#policy, all);
    const region = inTurn?.region ?? null;
    if (region !== this.#state.region) this.#set({ region, ...this.#stageBegins() });
    return inTurn === null ? all : [inTurn];
  }

  #stageBegins(): Partial<RolloutState> {
    return {
      phase: "PREPARING",
      plan: [],
      wave: 0,
      sinceMs: this.#state.nowMs,
      doneSinceMs: null,
      emptySinceMs: null,
    };
  }

  /** Failures halt what goes through waves at once, also while other regions are unknown. */
  #haltsOn(sums: FleetCounts): boolean {
    if (!this.#state.staged) return false;
    const among = sums.open === 0 ? sums.reporting : sums.open;
    if (!failsTooOften(sums.failed, among, this.#policy)) return false;
    return this.#halt(`${sums.failed} of ${among} hosts that tried it failed`);
  }

  #waitForData(regions: readonly string[]): void {
    const { nowMs, dataMs } = this.#state;
    this.#wait(
      `waits for the seeders of ${regions.join(", ")} to report`,
      nowMs - dataMs >= this.#policy.noDataMs,
    );
  }

  /** Time without data is nobody's fault: no deadline runs in it. */
  #takeData(regions: readonly RegionCounts[]): void {
    const { nowMs, dataMs, sinceMs } = this.#state;
    const gapMs = nowMs - dataMs;
    if (gapMs >= this.#policy.noDataMs)
      this.#set({ sinceMs: Math.min(nowMs, sinceMs + gapMs), doneSinceMs: null });
    const known = { ...this.#state.known };
    for (const counts of regions)
      known[counts.region] = Math.max(known[counts.region] ?? 0, hostsOf(counts));
    this.#set({ dataMs: nowMs, known });
  }

  #waitHeld(): void {
    const { held } = this.#state;
    if (held === null) return;
    const why = held.reason === "" ? "" : `: ${held.reason}`;
    this.#set({ doneSinceMs: null });
    this.#wait(`paused by ${held.by}${why}`, true);
  }

  /** A deploy to nobody succeeds; a fleet that vanishes after some hosts switched proves nothing. */
  #seeNobody(all: readonly RegionCounts[]): void {
    const { nowMs, phase, staged } = this.#state;
    const since = this.#state.emptySinceMs ?? nowMs;
    this.#set({ emptySinceMs: since });
    if (phase === "SWITCHING" && staged) {
      this.#wait("waits for hosts: all of them have left", true);
    } else if (nowMs - since >= this.#policy.emptyMs) {
      this.#endStage(all, "no host runs this service yet; later ones get the release at once");
    } else {
      this.#wait("waits for hosts: no region has one so far", false);
    }
  }

  #prepare(regions: readonly RegionCounts[], sums: FleetCounts): void {
    const { nowMs, sinceMs } = this.#state;
    const late = nowMs - sinceMs >= this.#policy.prepareMs;
    if (sums.reporting === 0) {
      this.#wait(`waits for hosts to report: all ${sums.silent} are silent`, late);
      return;
    }
    const told = `${sums.holding} of ${sums.reporting} hosts hold the release`;
    const ready = sums.holding > 0 && (late || isPrepared(regions, this.#policy));
    if (!ready) {
      this.#wait(`waits until hosts hold the release: ${told}`, late);
      return;
    }
    this.#set({
      phase: "SWITCHING",
      plan: planWaves(this.#policy.waves, sums.hosts),
      silentBefore: sums.silent,
    });
    this.#enter(0, regions, sums, told);
  }

  #switch(all: readonly RegionCounts[], regions: readonly RegionCounts[], sums: FleetCounts): void {
    const { nowMs, sinceMs, doneSinceMs, silentBefore } = this.#state;
    const opening = this.#open(regions, sums, "");
    if (opening === "opened" || opening === "halted") return;
    const suspicious = suspiciousSilent(sums, silentBefore, this.#policy);
    const { late, holding } = lateHosts(sums);
    const overdue = nowMs - sinceMs >= this.#policy.waveMs;
    const settled = late === 0 || (overdue && this.#maySkip(sums));
    const isWhole = opening === "whole" && sums.unseen === 0 && sums.missing === 0;
    if (isWhole && suspicious === 0 && sums.healthy > 0 && settled) {
      if (doneSinceMs === null) this.#set({ doneSinceMs: nowMs });
      this.#bake(all, regions, sums);
      return;
    }
    this.#set({ doneSinceMs: null });
    if (overdue && this.#judgeOverdue(regions, sums, holding)) return;
    this.#wait(describeWait(sums, late, suspicious), overdue);
  }

  /**
   * Opens as much of the wave as may be unavailable at once: `opened` somebody, `whole` when the wave
   * has nobody left to open, `full` when those that are open have to get healthy first.
   */
  #open(
    regions: readonly RegionCounts[],
    sums: FleetCounts,
    told: string,
  ): "opened" | "whole" | "full" | "halted" {
    const { plan, wave, openToAll, region, rules } = this.#state;
    if (openToAll || (region !== null && rules[region]?.type === "all")) return "whole";
    const isLast = isLastWave(this.#state);
    const everybody = Number.POSITIVE_INFINITY;
    if (!isLast && openMore(plan, wave, everybody, regions, this.#state) === null) return "whole";
    // Hosts that a starting seeder doesn't know yet could be opened unseen.
    if (sums.missing > 0) return "full";
    const max = unavailableHostsMax(this.#policy, sums.hosts);
    const limit = max - unavailableHosts(sums, this.#state.silentBefore);
    if (isLast && sums.closed <= Math.max(0, limit)) {
      this.#apply(openAll(regions, this.#state), region === null, told);
      return "opened";
    }
    const more = limit > 0 ? openMore(plan, wave, limit, regions, this.#state) : null;
    if (more !== null) {
      this.#apply(more, false, told);
      return "opened";
    }
    if (sums.failed < max) return "full";
    this.#halt(`${sums.failed} hosts failed, and only ${max} may be unavailable at once`);
    return "halted";
  }

  #apply(opening: Pick<RolloutState, "rules" | "opened">, openToAll: boolean, told: string): void {
    const { nowMs, wave, plan } = this.#state;
    const hosts = Object.values(opening.opened).reduce((sum, one) => sum + one, 0);
    this.#set({ ...opening, openToAll, sinceMs: nowMs, doneSinceMs: null });
    const why = told === "" ? "" : `: ${told}`;
    this.#wait(`wave ${wave + 1} of ${plan.length} is open for ${hosts} hosts${why}`, false);
    this.#outputs.push({ type: "rulesChanged" });
  }

  /** Stragglers that still fetch are left behind at the deadline while most open hosts are settled. */
  #maySkip(sums: FleetCounts): boolean {
    const { late, holding } = lateHosts(sums);
    return late * 2 <= sums.open && !failsTooOften(sums.failed + holding, sums.open, this.#policy);
  }

  /** True when the deadline decided something. */
  #judgeOverdue(regions: readonly RegionCounts[], sums: FleetCounts, holding: number): boolean {
    const bad = sums.failed + holding;
    if (this.#state.staged && failsTooOften(bad, sums.open, this.#policy)) {
      const why = `${bad} of ${sums.open} hosts failed, or hold it and didn't get healthy in time`;
      if (this.#halt(why)) return true;
    }
    if (sums.unseen === 0 && sums.missing === 0) return false;
    // So many have left the fleet: others take their place.
    const opened = { ...this.#state.opened };
    const known = { ...this.#state.known };
    for (const counts of regions) {
      opened[counts.region] = counts.open + counts.openSilent;
      known[counts.region] = hostsOf(counts);
    }
    this.#set({ opened, known, sinceMs: this.#state.nowMs });
    this.#wait(`${Math.max(sums.unseen, sums.missing)} hosts have left`, false);
    return true;
  }

  #bake(all: readonly RegionCounts[], regions: readonly RegionCounts[], sums: FleetCounts): void {
    const { nowMs, doneSinceMs, wave, staged, region } = this.#state;
    const told = describeEnd(sums, lateHosts(sums).late);
    const isLast = isLastWave(this.#state);
    const { bakeMs, regionBakeMs } = this.#policy;
    const watchMs = isLast && region !== null ? Math.max(bakeMs, regionBakeMs) : bakeMs;
    if (nowMs - (doneSinceMs ?? nowMs) < watchMs) {
      this.#wait(`watches the wave for a while: ${told}`, false);
      return;
    }
    if (!isLast) {
      this.#enter(this.#replan(sums) ?? wave + 1, regions, sums, told);
      return;
    }
    if (!staged && failsTooOften(sums.failed, sums.open, this.#policy)) this.#end("FAILED", told);
    else this.#endStage(all, told);
  }

  #enter(wave: number, regions: readonly RegionCounts[], sums: FleetCounts, told: string): void {
    this.#set({ wave, sinceMs: this.#state.nowMs, doneSinceMs: null });
    this.#wait(`begins wave ${wave + 1} of ${this.#state.plan.length}: ${told}`, false);
    this.#open(regions, sums, told);
  }

  /**
   * Plans anew for a fleet that turned out to be much larger than the planned one, so that its last
   * wave isn't most of it; the number of the wave to go on with, or undefined when the plan holds.
   */
  #replan(sums: FleetCounts): number | undefined {
    const planned = this.#state.plan.at(-1)?.hosts ?? 0;
    if (sums.hosts <= planned * this.#policy.replanFactor) return undefined;
    const plan = planWaves(this.#policy.waves, sums.hosts);
    this.#set({ plan });
    const next = plan.findIndex((wave) => wave.hosts > sums.open + sums.openSilent);
    return next === -1 ? plan.length - 1 : next;
  }

  /** The region is done, and its hosts may all run the release; after the last one the rollout is. */
  #endStage(all: readonly RegionCounts[], reason: string): void {
    const { region, regionsDone } = this.#state;
    if (region === null) {
      this.#end("SUCCEEDED", reason);
      return;
    }
    const done = all.filter((counts) => counts.region === region);
    this.#set({ ...openAll(done, this.#state), regionsDone: [...regionsDone, region] });
    const next = regionInTurn({ ...this.#state, region: null }, this.#policy, all);
    if (next === null || this.#state.regionsDone.includes(next.region)) {
      this.#end("SUCCEEDED", reason);
      return;
    }
    this.#set({ region: next.region, ...this.#stageBegins() });
    this.#wait(`${region} is done (${reason}); begins in ${next.region}`, false);
    this.#outputs.push({ type: "rulesChanged" });
  }

  /** True when that was the end: a staged rollback has nothing to go back to, and waits for a person. */
  #halt(reason: string): boolean {
    if (this.#state.kind === "rollback") {
      this.#wait(`waits for a person: ${reason}`, true);
      return true;
    }
    this.#outputs.push({ type: "quarantined", reason });
    this.#end("FAILED", reason);
    return true;
  }

  #end(phase: "SUCCEEDED" | "FAILED" | "ABORTED", reason: string): void {
    this.#set({ phase, reason, paused: false });
    this.#outputs.push({ type: "rulesChanged" }, { type: "ended", phase, reason });
  }

  #wait(reason: string, paused: boolean): void {
    this.#set({ reason, paused });
  }

  #set(changes: Partial<RolloutState>): void {
    this.#state = { ...this.#state, ...changes };
  }
}

function isLastWave(state: RolloutState): boolean {
  return state.phase === "SWITCHING" && state.wave === state.plan.length - 1;
}
