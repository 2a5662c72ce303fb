// One host of a model fleet: the real activation machine, with programs, a disk and health that the
// model decides. It notes everything that it ran against the goals that it had accepted.
import { Activation } from "../activation/activation.ts";
import type { DurableActivation } from "../activation/activation-events.ts";
import type { Goal } from "./goal.ts";
import type { Release } from "./release.ts";
import { mayRun } from "./switch-rule.ts";

export interface HostReportModel {
  readonly id: string;
  readonly holding: readonly string[];
  readonly running: string | null;
  readonly healthy: boolean;
  readonly failed: { readonly rollout: number | null; readonly release: string } | null;
}

export class ModelHost {
  readonly id: string;
  readonly region: string;
  silent = false;
  readonly faults: string[] = [];
  readonly #isBad: (release: string) => boolean;
  readonly #fetchMs: (release: string) => number;
  readonly #misread: (goal: Goal) => Goal;
  #machine: Activation;
  #durable: DurableActivation = { failed: null, proven: [] };
  #goal: Goal | null = null;
  #program: Release | null = null;
  /** Run and fallback of every goal that it ever accepted. */
  readonly #named = new Set<string>();
  readonly #fetchedAt = new Map<string, number>();

  constructor(
    id: string,
    region: string,
    isBad: (release: string) => boolean,
    fetchMs: (release: string) => number,
    /** For showing that the checks see a machine that is wrong. */
    misread: (goal: Goal) => Goal = (goal) => goal,
  ) {
    this.id = id;
    this.region = region;
    this.#isBad = isBad;
    this.#fetchMs = fetchMs;
    this.#misread = misread;
    this.#machine = new Activation(id, this.#durable);
  }

  accept(goal: Goal): void {
    if (this.#goal !== null && goal.generation < this.#goal.generation) return;
    this.#goal = goal;
    for (const release of [goal.run, goal.fallback]) if (release) this.#named.add(release.id);
    this.#tellGoal(goal, 0);
  }

  /** A moment passes: fetches end, orders are carried out, health is checked. */
  live(now: number): void {
    for (const { id } of this.#machine.wanted()) {
      const at = this.#fetchedAt.get(id) ?? now + this.#fetchMs(id);
      this.#fetchedAt.set(id, at);
      if (at <= now && !this.#machine.holds(id))
        this.#machine.handle({ type: "releaseHeld", release: id }, now);
    }
    this.#machine.handle({ type: "deadline" }, now);
    this.#carryOut(now);
    const release = this.#program?.id;
    if (release === undefined) return;
    const healthy = !this.#isBad(release);
    const message = healthy ? "" : "it is bad";
    this.#machine.handle({ type: "healthChecked", release, healthy, message }, now);
    this.#carryOut(now);
  }

  /** The agent is killed and starts again; its program runs on, or has gone with the machine. */
  restart(withMachine: boolean, now: number): void {
    if (withMachine) this.#program = null;
    this.#machine = new Activation(this.id, this.#durable);
    const running = this.#program;
    if (running !== null) this.#machine.handle({ type: "programFound", release: running }, now);
    const goal = this.#goal;
    if (goal !== null) this.#tellGoal(goal, now);
  }

  report(): HostReportModel {
    const { running, healthy, failed } = this.#machine.status();
    const holding = this.#machine.wanted().filter(({ id }) => this.#machine.holds(id));
    return { id: this.id, holding: holding.map(({ id }) => id), running, healthy, failed };
  }

  runs(): string | null {
    return this.#program?.id ?? null;
  }

  isHealthyWith(release: string): boolean {
    const { running, healthy, failed } = this.report();
    return running === release && healthy && failed?.release !== release;
  }

  #tellGoal(goal: Goal, now: number): void {
    this.#machine.handle({ type: "goalAccepted", goal: this.#misread(goal), selected: true }, now);
  }

  #carryOut(now: number): void {
    for (let order = this.#machine.poll(); order !== undefined; order = this.#machine.poll()) {
      if (order.type === "save") this.#durable = this.#machine.durable();
      if (order.type === "start") {
        this.#check(order.release);
        this.#program = order.release;
        this.#machine.handle({ type: "programStarted", release: order.release.id }, now);
      }
      if (order.type === "stop") {
        this.#program = null;
        this.#machine.handle({ type: "programExited", release: order.release, message: "" }, now);
      }
    }
  }

  #check({ id }: Release): void {
    const goal = this.#goal;
    if (!this.#named.has(id)) this.faults.push(`${this.id} started ${id}, which no goal named`);
    if (goal === null || (goal.run?.id !== id && goal.fallback?.id !== id))
      this.faults.push(`${this.id} started ${id}, not of its newest goal`);
    const isOpen = goal !== null && mayRun(goal.switch, goal.salt, this.id);
    if (goal?.run?.id === id && goal.fallback?.id !== id && !isOpen)
      this.faults.push(`${this.id} started ${id} before its wave`);
  }
}
