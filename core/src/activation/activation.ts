// Decides what one service runs on one host: which release its goal wants here, when to switch, when a
// program is well, and when to go back. No I/O: the supervisor carries out its orders.
//
// Rules.
// - Only held releases are started, and only ones that an accepted goal named to run or fall back to.
// - At most one program: the next is ordered after the last has exited. One that its goal doesn't want
//   any more still runs until its successor is held, so that fetching costs no downtime.
// - A release that its goal wants to run is on trial until it was healthy for `trialMs`. On trial, not
//   getting healthy in time, getting unhealthy, or exiting again and again is a failure: the host goes
//   back to the fallback by itself and doesn't try the release again before another rollout names it.
// - Without a fallback there is nothing to go back to: the failure is reported, and the release is
//   started again and again with back-off until a newer goal says otherwise.
// - Whatever isn't on trial (it proved itself, or is the fallback) is restarted with back-off for ever.
import { restartsMax, trialMs } from "../limits.ts";
import { compareGoalOrder, type Goal } from "../rollout/goal.ts";
import type { Release } from "../rollout/release.ts";
import { mayRun } from "../rollout/switch-rule.ts";
import type { HostId } from "../ids.ts";
import type { Millis } from "../units.ts";
import type {
  ActivationInput,
  ActivationOutput,
  ActivationStatus,
  DurableActivation,
  FailedRelease,
} from "./activation-events.ts";
import { describeActivation } from "./describe-activation.ts";
import {
  becameHealthy,
  checkedProgram,
  isUnhealthy,
  nextRestart,
  orderedProgram,
  startedProgram,
  type Program,
  type Restarts,
} from "./program.ts";

export class Activation {
  readonly #host: HostId;
  readonly #outputs: ActivationOutput[] = [];
  readonly #held: Set<string> = new Set();
  readonly #fetchFailures: Map<string, string> = new Map();
  #goal: Goal | null = null;
  #selected = false;
  #program: Program | null = null;
  #restarts: Restarts | null = null;
  #failed: FailedRelease | null;
  /** Subset of what the goal names. */
  #proven: ReadonlySet<string>;

  constructor(host: HostId, durable: DurableActivation) {
    this.#host = host;
    this.#failed = durable.failed;
    this.#proven = new Set(durable.proven);
  }

  handle(input: ActivationInput, now: Millis): void {
    switch (input.type) {
      case "goalAccepted":
        this.#acceptGoal(input.goal, input.selected);
        break;
      case "releaseHeld":
        this.#held.add(input.release);
        this.#fetchFailures.delete(input.release);
        break;
      case "releaseLost":
        this.#held.delete(input.release);
        break;
      case "fetchFailed":
        if (this.#names(input.release))
          this.#fetchFailures.set(input.release, `${input.code}: ${input.message}`);
        break;
      case "programFound":
        this.#program ??= startedProgram(input.release, now);
        break;
      case "programStarted":
        if (this.#program?.release.id === input.release && this.#program.phase === "ordered")
          this.#program = startedProgram(this.#program.release, now);
        break;
      case "startFailed":
        this.#programEnded(input.release, input.code, input.message, now);
        break;
      case "programExited":
        this.#programEnded(input.release, "program_exited", input.message, now);
        break;
      case "healthChecked":
        this.#healthChecked(input, now);
        break;
      case "deadline":
        break;
    }
    this.#checkTimes(now);
    this.#converge(now);
  }

  poll(): ActivationOutput | undefined {
    return this.#outputs.shift();
  }

  nextDeadline(): Millis | undefined {
    const program = this.#program;
    if (program === null) {
      const target = this.#target();
      const waits = target !== null && this.#held.has(target.id);
      return waits && this.#restarts?.release === target.id ? this.#restarts.notBefore : undefined;
    }
    if (program.phase === "starting")
      return program.startedAt + program.release.run.health.startupMs;
    if (program.healthySince !== null && this.#mayProve(program.release.id))
      return program.healthySince + trialMs;
    return undefined;
  }

  durable(): DurableActivation {
    return { failed: this.#failed, proven: [...this.#proven] };
  }

  /** Releases that must be on disk, the most urgent first. */
  wanted(): readonly Release[] {
    const goal = this.#goal;
    if (goal === null || !this.#selected) return [];
    const first = this.#isOpen(goal) ? [goal.run, goal.fallback] : [goal.fallback, goal.run];
    const releases = [...first, ...goal.prepare].filter((release) => release !== null);
    return [...new Map(releases.map((release) => [release.id, release])).values()];
  }

  goal(): Goal | null {
    return this.#goal;
  }

  holds(release: string): boolean {
    return this.#held.has(release);
  }

  /** The program's release, from the order to start it until its exit is known. */
  occupiedBy(): Release | null {
    return this.#program?.release ?? null;
  }

  status(): ActivationStatus {
    return describeActivation({
      goal: this.#goal,
      program: this.#program,
      restarting: this.#restarts !== null,
      failed: this.#currentFailure(),
      target: this.#target(),
      wanted: this.wanted(),
      holds: (release) => this.#held.has(release),
      fetchFailure: (release) => this.#fetchFailures.get(release),
    });
  }

  #acceptGoal(goal: Goal, selected: boolean): void {
    const before = this.#goal;
    if (before !== null && compareGoalOrder(goal, before) <= 0) {
      // The same goal again, when the host's labels changed; an older one is refused.
      if (compareGoalOrder(goal, before) === 0) this.#selected = selected;
      return;
    }
    const old = JSON.stringify(this.durable());
    this.#goal = goal;
    this.#selected = selected;
    const isNewRollout = before !== null && before.rollout !== goal.rollout;
    if (isNewRollout) this.#restarts = null;
    if (this.#failed !== null && this.#failed.rollout !== goal.rollout) this.#failed = null;
    // What comes back after it was gone from the goals, in a new rollout, is tried like any other.
    const returns = isNewRollout && before !== null && !namesOf(before).has(goal.run?.id ?? "");
    const names = namesOf(goal);
    this.#proven = new Set(
      [...this.#proven].filter((id) => names.has(id) && !(returns && id === goal.run?.id)),
    );
    for (const id of this.#fetchFailures.keys()) if (!names.has(id)) this.#fetchFailures.delete(id);
    if (JSON.stringify(this.durable()) !== old) this.#outputs.push({ type: "save" });
  }

  #programEnded(release: string, code: string, message: string, now: Millis): void {
    const program = this.#program;
    if (program === null || program.release.id !== release) return;
    this.#program = null;
    if (program.phase === "stopping") return;
    this.#restarts = nextRestart(this.#restarts, program, now);
    if (this.#restarts.count > restartsMax) this.#failIfOnTrial(release, code, message);
  }

  #healthChecked(input: Extract<ActivationInput, { type: "healthChecked" }>, now: Millis): void {
    const program = this.#program;
    if (program === null || program.release.id !== input.release) return;
    if (program.phase !== "starting" && program.phase !== "healthy") return;
    this.#program = checkedProgram(program, input, now);
    if (isUnhealthy(this.#program))
      this.#stopUnwell(this.#program, `not healthy any more: ${input.message}`, now);
  }

  #checkTimes(now: Millis): void {
    const program = this.#program;
    if (program === null) return;
    const { id, run } = program.release;
    if (program.phase === "starting" && now >= program.startedAt + run.health.startupMs) {
      const why = program.complaint === "" ? "too few health checks passed" : program.complaint;
      const message = `not healthy ${run.health.startupMs} ms after its start: ${why}`;
      if (run.health.type === "none") this.#program = becameHealthy(program, now);
      else this.#stopUnwell(program, message, now);
      return;
    }
    if (program.healthySince === null || !this.#mayProve(id)) return;
    if (now < program.healthySince + trialMs) return;
    this.#proven = new Set([...this.#proven, id]);
    this.#outputs.push({ type: "save" });
  }

  #stopUnwell(program: Program, message: string, now: Millis): void {
    this.#restarts = nextRestart(this.#restarts, program, now);
    this.#failIfOnTrial(program.release.id, "health_check_failed", message);
    this.#stop(program);
  }

  #failIfOnTrial(release: string, code: string, message: string): void {
    const goal = this.#goal;
    if (goal === null || goal.run?.id !== release || goal.fallback?.id === release) return;
    if (this.#proven.has(release) || !this.#isOpen(goal)) return;
    // Of repeated failures the first says most.
    if (this.#currentFailure()?.release === release) return;
    this.#failed = { rollout: goal.rollout, release, code, message };
    this.#outputs.push({ type: "save" });
  }

  #currentFailure(): FailedRelease | null {
    if (this.#goal === null || this.#failed === null) return null;
    return this.#failed.rollout === this.#goal.rollout ? this.#failed : null;
  }

  #mayProve(release: string): boolean {
    if (this.#proven.has(release) || this.#goal === null) return false;
    return this.#names(release);
  }

  #names(release: string): boolean {
    return this.#goal !== null && namesOf(this.#goal).has(release);
  }

  #isOpen(goal: Goal): boolean {
    return mayRun(goal.switch, goal.salt, this.#host);
  }

  /** The release that should run here now, held or not; null for none. */
  #target(): Release | null {
    const goal = this.#goal;
    if (goal === null || !this.#selected) return null;
    const choices = (this.#isOpen(goal) ? [goal.run, goal.fallback] : [goal.fallback]).filter(
      (release) => release !== null,
    );
    const failed = this.#currentFailure()?.release;
    const sound = choices.filter(({ id }) => id !== failed);
    // What isn't here yet is waited for while something else of the goal runs.
    return sound.find(({ id }) => this.#held.has(id)) ?? sound[0] ?? choices[0] ?? null;
  }

  #converge(now: Millis): void {
    // Before the first goal nothing is known: what was found running goes on.
    if (this.#goal === null) return;
    const target = this.#target();
    const program = this.#program;
    if (program === null) {
      if (target === null || !this.#held.has(target.id)) return;
      if (this.#restarts?.release === target.id && now < this.#restarts.notBefore) return;
      this.#program = orderedProgram(target);
      this.#outputs.push({ type: "start", release: target });
      return;
    }
    if (program.phase === "ordered" || program.release.id === target?.id) return;
    const isFailed = this.#currentFailure()?.release === program.release.id;
    if (target === null || this.#held.has(target.id) || isFailed) this.#stop(program);
  }

  #stop(program: Program): void {
    if (program.phase === "stopping") return;
    this.#program = { ...program, phase: "stopping", healthySince: null };
    this.#outputs.push({ type: "stop", release: program.release.id });
  }
}

function namesOf(goal: Goal): ReadonlySet<string> {
  const releases = [goal.run, goal.fallback, ...goal.prepare];
  return new Set(releases.filter((release) => release !== null).map(({ id }) => id));
}
