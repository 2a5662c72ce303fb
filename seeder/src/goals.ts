// The region's goals as the control plane signed them, kept on disk, so that hosts get them while
// the control plane is down. A goal is believed for its signature and replaced only by a newer one.
import { envelope, type Envelope } from "@shoal/api/names";
import { ShoalError } from "@shoal/core/error";
import { serviceKey, type ArtifactCid, type ServiceKey } from "@shoal/core/ids";
import { regionGoalsMax } from "@shoal/core/limits";
import { compareGoalOrder, type Goal } from "@shoal/core/rollout/goal";
import type { Release } from "@shoal/core/rollout/release";
import type { StateFile } from "@shoal/daemon/atomic-file";
import type { Log } from "@shoal/daemon/log";
import { verifyGoal } from "@shoal/trust/goal-envelope";
import type { TrustDocument } from "@shoal/trust/trust-document";
import { undatedMs } from "@shoal/trust/trust-keeper";
import { z } from "zod";

const goalsFile = z.strictObject({
  format: z.literal("shoal.seeder-goals/v1"),
  goals: z.array(envelope),
});

export interface SignedGoal {
  readonly goal: Goal;
  readonly envelope: Envelope;
}

export interface GoalsDeps {
  readonly file: StateFile;
  readonly trust: () => TrustDocument;
  readonly now: () => number;
  readonly region: () => string | null;
  readonly log: Log;
}

export class Goals {
  readonly #deps: GoalsDeps;
  readonly #goals: Map<ServiceKey, SignedGoal> = new Map();
  #edition = 0;
  /** The edition that is on disk. */
  #savedEdition = 0;

  constructor(deps: GoalsDeps) {
    this.#deps = deps;
  }

  /** Reads the goals of an earlier life; a file that can't be read is as good as none. */
  async load(): Promise<void> {
    const bytes = await this.#deps.file.read();
    if (bytes === undefined) return;
    try {
      const file = goalsFile.parse(JSON.parse(new TextDecoder().decode(bytes)));
      this.#take(file.goals, undatedMs);
      this.#savedEdition = this.#edition;
    } catch (error) {
      this.#deps.log.warn(
        { error },
        "the goals on disk can't be read; waiting for the control plane",
      );
    }
  }

  /** Takes what is newer and saves it; hosts may be told before it is saved. Answers whether anything was. */
  async apply(envelopes: readonly Envelope[]): Promise<boolean> {
    const before = this.#edition;
    this.#take(envelopes, this.#deps.now());
    // Also saves what an earlier call took and couldn't save.
    if (this.#edition !== this.#savedEdition) await this.#save();
    return this.#edition !== before;
  }

  /** Rises with every change. */
  edition(): number {
    return this.#edition;
  }

  goals(): readonly SignedGoal[] {
    return [...this.#goals.values()];
  }

  epochMax(): number {
    return Math.max(0, ...this.goals().map(({ goal }) => goal.epoch));
  }

  async #save(): Promise<void> {
    const edition = this.#edition;
    const goals = this.goals().map((signed) => signed.envelope);
    await this.#deps.file.write(JSON.stringify({ format: "shoal.seeder-goals/v1", goals }));
    this.#savedEdition = edition;
  }

  #take(envelopes: readonly Envelope[], nowMs: number): void {
    const known = new Set(this.goals().map((signed) => JSON.stringify(signed.envelope)));
    for (const signed of envelopes) {
      // Most of a plan is what the last one had: no need to verify that again.
      if (!known.has(JSON.stringify(signed))) this.#takeOne(signed, nowMs);
    }
  }

  #takeOne(signed: Envelope, nowMs: number): void {
    const goal = this.#verified(signed, nowMs);
    if (goal === null) return;
    const key = serviceKey(goal.environment, goal.service);
    const known = this.#goals.get(key);
    if (known === undefined && this.#goals.size >= regionGoalsMax) {
      this.#deps.log.warn({ goals: this.#goals.size }, "refused a goal: there are too many");
      return;
    }
    if (known !== undefined && !isNewer({ goal, envelope: signed }, known)) return;
    this.#goals.set(key, { goal, envelope: signed });
    this.#edition += 1;
  }

  /** One goal that can't be believed must not keep the others from hosts. */
  #verified(signed: Envelope, nowMs: number): Goal | null {
    const { trust, region, log } = this.#deps;
    try {
      const goal = verifyGoal(signed, trust(), { nowMs });
      const ours = region();
      if (ours === null || goal.region === ours) return goal;
      log.warn({ goal: goal.region, ours }, "refused a goal of another region");
    } catch (error) {
      if (!(error instanceof ShoalError)) throw error;
      log.warn({ code: error.code, reason: error.message }, "refused a goal");
    }
    return null;
  }
}

/** Of a later order, or the same words under a new signature. */
function isNewer(given: SignedGoal, known: SignedGoal): boolean {
  const order = compareGoalOrder(given.goal, known.goal);
  return order > 0 || (order === 0 && given.envelope.payload === known.envelope.payload);
}

/** Every release that a goal names. */
export function releasesOf(goal: Goal): readonly Release[] {
  return [...goal.prepare, goal.run, goal.fallback].filter((release) => release !== null);
}

/** Every artifact that a goal names. */
export function artifactsOf(goal: Goal): readonly ArtifactCid[] {
  return releasesOf(goal).map(({ artifact }) => artifact);
}
