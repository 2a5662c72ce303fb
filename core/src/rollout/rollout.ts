// The rollout engine: the way of one release to all hosts of a service, wave by wave. A state machine
// over plain JSON: the driver keeps `state` in the database and makes the machine anew from it.
//
// Invariants, held by property tests: hosts beyond the open ones may never switch; what is open stays
// open until the end; a halted rollout opens nobody; a rollout that hasn't ended says what it waits
// for. Rolling back passes through no waves and isn't halted by failures: there is nothing to go to.
import type { Millis } from "../units.ts";
import type { SwitchRule } from "./goal.ts";
import type { RegionCounts, RolloutInput, RolloutOutput, RolloutState } from "./rollout-events.ts";
import type { RolloutPolicy } from "./rollout-policy.ts";
import {
  type FleetCounts,
  failsTooOften,
  isPrepared,
  lateHosts,
  sumCounts,
  suspiciousSilent,
} from "./verdict.ts";
import { openWave, planWaves } from "./waves.ts";

/** The state of a rollout that begins now. A rollback has one wave, everybody, from the start. */
export function beginRollout(
  kind: "deploy" | "rollback",
  salt: string,
  nowMs: Millis,
): RolloutState {
  const rollback = kind === "rollback";
  return {
    format: 1,
    kind,
    salt,
    phase: rollback ? "SWITCHING" : "PREPARING",
    paused: false,
    plan: rollback ? [{ hosts: 0, share: 1 }] : [],
    wave: 0,
    rules: {},
    sinceMs: nowMs,
    doneSinceMs: null,
    dataMs: nowMs,
    emptySinceMs: null,
    silentBefore: 0,
    nowMs,
    reason: "waits for the first counts of the regions",
  };
}

export function isEnded(state: RolloutState): boolean {
  return state.phase !== "PREPARING" && state.phase !== "SWITCHING";
}

/** What a region's hosts may do now. Regions that come back into service join the last wave only. */
export function ruleOf(state: RolloutState, region: string): SwitchRule {
  if (state.phase === "SUCCEEDED" || isLastWave(state)) return { type: "all" };
  return state.rules[region] ?? { type: "none" };
}

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
    const { prepareMs, waveMs, bakeMs, noDataMs, emptyMs } = this.#policy;
    const moments = [
      phase === "PREPARING" ? sinceMs + prepareMs : sinceMs + waveMs,
      dataMs + noDataMs,
      ...(emptySinceMs === null ? [] : [emptySinceMs + emptyMs]),
      ...(doneSinceMs === null ? [] : [doneSinceMs + bakeMs]),
    ].filter((moment) => moment > nowMs);
    return moments.length === 0 ? undefined : Math.min(...moments);
  }

  #judge(regions: readonly RegionCounts[]): void {
    const sums = sumCounts(regions, this.#state.rules);
    if (this.#haltsOn(sums)) return;
    if (sums.regionsWithoutData.length > 0) {
      this.#waitForData(sums.regionsWithoutData);
      return;
    }
    this.#set({ dataMs: this.#state.nowMs });
    if (sums.hosts === 0) {
      this.#seeNobody();
      return;
    }
    this.#set({ emptySinceMs: null });
    if (this.#state.phase === "PREPARING") this.#prepare(regions, sums);
    else this.#switch(regions, sums);
  }

  /** Failures halt a deploy at once, also while other regions are unknown; never a rollback. */
  #haltsOn(sums: FleetCounts): boolean {
    if (this.#state.kind === "rollback") return false;
    const among = this.#state.phase === "PREPARING" ? sums.reporting : sums.open;
    if (!failsTooOften(sums.failed, among, this.#policy)) return false;
    this.#halt(`${sums.failed} of ${among} hosts that tried it failed`);
    return true;
  }

  #waitForData(regions: readonly string[]): void {
    const { nowMs, dataMs } = this.#state;
    this.#wait(
      `waits for the seeders of ${regions.join(", ")} to report`,
      nowMs - dataMs >= this.#policy.noDataMs,
    );
  }

  /** A deploy to nobody succeeds; a fleet that vanishes after some hosts switched proves nothing. */
  #seeNobody(): void {
    const { nowMs, phase, kind } = this.#state;
    const since = this.#state.emptySinceMs ?? nowMs;
    this.#set({ emptySinceMs: since });
    if (phase === "SWITCHING" && kind === "deploy") {
      this.#wait("waits for hosts: all of them have left", true);
    } else if (nowMs - since >= this.#policy.emptyMs) {
      this.#end("SUCCEEDED", "no host runs this service yet; later ones get the release at once");
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
    this.#open(0, regions, told);
  }

  #switch(regions: readonly RegionCounts[], sums: FleetCounts): void {
    const { nowMs, sinceMs, doneSinceMs, silentBefore } = this.#state;
    const suspicious = suspiciousSilent(sums, silentBefore, this.#policy);
    const { late, holding } = lateHosts(sums);
    const overdue = nowMs - sinceMs >= this.#policy.waveMs;
    if (suspicious === 0 && sums.healthy > 0 && (late === 0 || (overdue && this.#maySkip(sums)))) {
      if (doneSinceMs === null) this.#set({ doneSinceMs: nowMs });
      this.#bake(regions, sums, late);
      return;
    }
    this.#set({ doneSinceMs: null });
    if (overdue && this.#judgeOverdue(regions, sums, holding)) return;
    this.#wait(describeWait(sums, late, suspicious), overdue);
  }

  /** Stragglers that still fetch are left behind at the deadline while most open hosts are settled. */
  #maySkip(sums: FleetCounts): boolean {
    const { late, holding } = lateHosts(sums);
    return late * 2 <= sums.open && !failsTooOften(sums.failed + holding, sums.open, this.#policy);
  }

  /** True when the deadline decided something. */
  #judgeOverdue(regions: readonly RegionCounts[], sums: FleetCounts, holding: number): boolean {
    const bad = sums.failed + holding;
    if (failsTooOften(bad, sums.open, this.#policy)) {
      this.#halt(`${bad} of ${sums.open} hosts failed, or hold it and didn't get healthy in time`);
      return true;
    }
    if (sums.open > 0 || sums.openSilent > 0 || isLastWave(this.#state)) return false;
    // Every host that was opened has left the fleet: others take their place.
    const extra = this.#state.plan.map((wave) => ({ ...wave, hosts: wave.hosts + 1 }));
    this.#set({ plan: extra });
    this.#open(this.#state.wave, regions, "the open hosts have left");
    return true;
  }

  #bake(regions: readonly RegionCounts[], sums: FleetCounts, late: number): void {
    const { nowMs, doneSinceMs, wave, kind } = this.#state;
    const told = describeEnd(sums, late);
    if (nowMs - (doneSinceMs ?? nowMs) < this.#policy.bakeMs) {
      this.#wait(`watches the wave for a while: ${told}`, false);
      return;
    }
    if (!isLastWave(this.#state)) {
      this.#open(this.#replan(sums) ?? wave + 1, regions, told);
      return;
    }
    const bad = kind === "rollback" && failsTooOften(sums.failed, sums.open, this.#policy);
    this.#end(bad ? "FAILED" : "SUCCEEDED", told);
  }

  #open(wave: number, regions: readonly RegionCounts[], told: string): void {
    const { plan, salt, rules, nowMs } = this.#state;
    this.#set({
      wave,
      rules: openWave(plan, wave, salt, regions, rules),
      sinceMs: nowMs,
      doneSinceMs: null,
      paused: false,
      reason: `wave ${wave + 1} of ${plan.length} is open: ${told}`,
    });
    this.#outputs.push({ type: "rulesChanged" });
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

  #halt(reason: string): void {
    if (this.#state.kind === "deploy") this.#outputs.push({ type: "quarantined", reason });
    this.#end("FAILED", reason);
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

function describeWait(sums: FleetCounts, late: number, suspicious: number): string {
  const parts = [
    ...(late > 0 ? [`${late} of ${sums.open} open hosts to get healthy`] : []),
    ...(suspicious > 0 ? [`${suspicious} open hosts that went silent to report`] : []),
    ...(late === 0 && suspicious === 0 ? ["an open host to run it"] : []),
  ];
  return `waits for ${parts.join(" and ")}`;
}

function describeEnd(sums: FleetCounts, late: number): string {
  const parts = [
    `${sums.healthy} of ${sums.open} open hosts are healthy`,
    ...(sums.failed > 0 ? [`${sums.failed} failed`] : []),
    ...(late > 0 ? [`${late} still fetch it`] : []),
    ...(sums.openSilent > 0 ? [`${sums.openSilent} are silent`] : []),
  ];
  return parts.join(", ");
}
