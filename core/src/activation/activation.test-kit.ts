// Releases and goals for tests of activation, and a host that carries out orders in memory.
import { compareGoalOrder, type Goal } from "../rollout/goal.ts";
import type { HealthCheck, Release } from "../rollout/release.ts";
import type { ActivationInput, ActivationOutput, DurableActivation } from "./activation-events.ts";
import { Activation } from "./activation.ts";

export const health: HealthCheck = {
  type: "http",
  path: "/health",
  intervalMs: 1000,
  timeoutMs: 500,
  startupMs: 10_000,
  healthyAfterCount: 2,
  unhealthyAfterCount: 3,
};

export function release(id: string, check: HealthCheck = health): Release {
  return {
    id,
    artifact: `artifact-of-${id}`,
    project: "web",
    commit: "c".repeat(40),
    run: {
      command: ["./serve"],
      environment: {},
      port: "auto",
      health: check,
      stopTimeoutMs: 1000,
      memoryBytesMax: null,
    },
  };
}

export const v1: Release = release("v1");
export const v2: Release = release("v2");
export const v3: Release = release("v3");

export function goal(generation: number, parts: Partial<Goal>): Goal {
  return {
    format: "shoal.goal/v1",
    environment: "production",
    region: "north",
    service: "web",
    epoch: 1,
    generation,
    rollout: 1,
    prepare: [],
    run: null,
    fallback: null,
    switch: { type: "all" },
    salt: "salt",
    selector: {},
    issuedAt: "2026-06-01T00:00:00Z",
    ...parts,
  };
}

/** Carries orders out at once and keeps what they did; `crash` is the agent's death and restart. */
export class HostInMemory {
  readonly done: string[] = [];
  readonly held: Set<string> = new Set();
  machine: Activation;
  now = 0;
  /** What runs; survives the agent. */
  program: Release | null = null;
  saved: DurableActivation = { failed: null, proven: [] };
  #selected = false;
  #goal: Goal | null = null;
  onOutput: (output: ActivationOutput) => void = () => undefined;

  constructor() {
    this.machine = new Activation("host-a", this.saved);
  }

  accept(next: Goal, selected = true): void {
    this.tell({ type: "goalAccepted", goal: next, selected });
    this.#goal = this.machine.goal();
    if (this.#goal !== null && compareGoalOrder(this.#goal, next) === 0) this.#selected = selected;
  }

  hold(...releases: readonly Release[]): void {
    for (const { id } of releases) {
      this.held.add(id);
      this.tell({ type: "releaseHeld", release: id });
    }
  }

  lose(id: string): void {
    this.held.delete(id);
    this.tell({ type: "releaseLost", release: id });
  }

  check(healthy: boolean, times = 1): void {
    for (let time = 0; time < times; time += 1) {
      this.now += 1000;
      if (this.program === null) return;
      const message = healthy ? "" : "answered 500";
      this.tell({ type: "healthChecked", release: this.program.id, healthy, message });
    }
  }

  /** The program ends by itself. */
  exit(message = "exit code 1"): void {
    const ended = this.program;
    if (ended === null) return;
    this.program = null;
    this.tell({ type: "programExited", release: ended.id, message });
  }

  /** Lets time pass up to the next deadline and no further; answers whether there was one. */
  waitForDeadline(): boolean {
    const next = this.machine.nextDeadline();
    if (next === undefined) return false;
    this.now = Math.max(this.now, next);
    this.tell({ type: "deadline" });
    return true;
  }

  /** A kill of the agent: what wasn't saved is forgotten, what runs goes on. */
  crash(): void {
    this.machine = new Activation("host-a", this.saved);
    this.now += 10;
    for (const id of this.held) this.tell({ type: "releaseHeld", release: id });
    if (this.program !== null) this.tell({ type: "programFound", release: this.program });
    if (this.#goal !== null) this.accept(this.#goal, this.#selected);
  }

  tell(input: ActivationInput): void {
    this.machine.handle(input, this.now);
    for (let output = this.machine.poll(); output !== undefined; output = this.machine.poll()) {
      this.onOutput(output);
      this.#carryOut(output);
    }
  }

  #carryOut(output: ActivationOutput): void {
    switch (output.type) {
      case "save":
        this.saved = structuredClone(this.machine.durable());
        return;
      case "start":
        this.done.push(`start ${output.release.id}`);
        this.program = output.release;
        this.machine.handle({ type: "programStarted", release: output.release.id }, this.now);
        return;
      case "stop":
        this.done.push(`stop ${output.release}`);
        this.program = null;
        this.machine.handle(
          { type: "programExited", release: output.release, message: "SIGTERM" },
          this.now,
        );
    }
  }
}
