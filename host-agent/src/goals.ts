// This host's goals: asked of a seeder, believed for their signature, kept on disk, never replaced by
// older ones. What is on disk is acted on while no seeder answers. A goal that an answer leaves out
// stays: a seeder can delay what runs here and not end it.
import { envelope, type Envelope } from "@shoal/api/names";
import type { SeederClient } from "@shoal/api/seeder-client";
import { ShoalError } from "@shoal/core/error";
import { serviceKey, type ArtifactCid, type ServiceKey } from "@shoal/core/ids";
import { longPollMsMax, servicesPerHostMax } from "@shoal/core/limits";
import { compareGoalOrder, type Goal } from "@shoal/core/rollout/goal";
import type { Release } from "@shoal/core/rollout/release";
import { selects } from "@shoal/core/rollout/selector";
import type { StateFile } from "@shoal/daemon/atomic-file";
import type { Log } from "@shoal/daemon/log";
import { verifyGoal } from "@shoal/trust/goal-envelope";
import type { Passport } from "@shoal/trust/passport";
import { undatedMs, type TrustKeeper } from "@shoal/trust/trust-keeper";
import { z } from "zod";
import type { Seeders } from "./seeders.ts";

const goalsFile = z.strictObject({
  format: z.literal("shoal.host-goals/v1"),
  goals: z.array(envelope).max(servicesPerHostMax),
  statements: z.record(z.string(), envelope),
});

type HostGoalsAnswer = Awaited<ReturnType<SeederClient["hostGoals"]>>;

/** What seeders say of a passport whose key has left the trust document. */
const lostKeyCodes = new Set(["signature_key_unknown", "key_not_allowed", "key_expired"]);

export interface HostGoalsDeps {
  readonly file: StateFile;
  readonly seeders: Pick<Seeders, "ask" | "learn">;
  readonly trust: Pick<TrustKeeper, "document" | "edition" | "take">;
  readonly now: () => number;
  readonly region: string;
  /** Null before the host has joined. */
  readonly passport: () => Pick<Passport, "labels" | "environment"> | null;
  readonly log: Log;
}

export interface HostGoal {
  readonly goal: Goal;
  /** Whether this host is one of those that it is for. */
  readonly selected: boolean;
}

interface SignedGoal {
  readonly goal: Goal;
  readonly envelope: Envelope;
}

export class HostGoals {
  readonly #deps: HostGoalsDeps;
  readonly #goals: Map<ServiceKey, SignedGoal> = new Map();
  /** Of artifacts that a goal names. */
  #statements: ReadonlyMap<ArtifactCid, Envelope> = new Map();
  #version: string | undefined;
  /** Of the newest trust that a seeder showed us, taken or not. */
  #trustEdition = "";

  constructor(deps: HostGoalsDeps) {
    this.#deps = deps;
  }

  /** Reads what an earlier life of the agent knew; a file that can't be read is as good as none. */
  async load(): Promise<void> {
    try {
      const bytes = await this.#deps.file.read();
      if (bytes === undefined) return;
      const { goals, statements } = goalsFile.parse(JSON.parse(new TextDecoder().decode(bytes)));
      this.#take(goals, statements, undatedMs);
    } catch (error) {
      this.#deps.log.warn({ error }, "the goals on disk can't be read; waiting for a seeder");
    }
  }

  goals(): readonly HostGoal[] {
    const passport = this.#deps.passport();
    return [...this.#goals.values()].map(({ goal }) => ({
      goal,
      selected: passport === null || isFor(goal, passport),
    }));
  }

  /** Whether a goal names the artifact that a bearer of this environment may see; null is all of them. */
  names(artifact: ArtifactCid, environment: string | null): boolean {
    return [...this.#goals.values()].some(
      ({ goal }) =>
        (environment === null || environment === goal.environment) &&
        releasesOf(goal).some((release) => release.artifact === artifact),
    );
  }

  /** The statement about an artifact that came with the goals; unverified. */
  statement(cid: ArtifactCid): Envelope | undefined {
    return this.#statements.get(cid);
  }

  /** Waits for news at a seeder. Answers whether anything changed; it is on disk by then. */
  async follow(signal: AbortSignal): Promise<boolean> {
    const { seeders, file } = this.#deps;
    const known = this.#version === undefined ? {} : { known: this.#version };
    const answer = await this.#ask(known, signal);
    if (answer === null) return false;
    seeders.learn(answer.seeders);
    await this.#followTrust(answer.trustEdition, signal);
    const hasChanged = this.#take(answer.goals, answer.statements, this.#deps.now());
    if (hasChanged) {
      const goals = [...this.#goals.values()].map((kept) => kept.envelope);
      const statements = Object.fromEntries(this.#statements);
      await file.write(JSON.stringify({ format: "shoal.host-goals/v1", goals, statements }));
    }
    // Only now: what isn't on disk is asked for again.
    this.#version = answer.version;
    return hasChanged;
  }

  async #ask(known: { readonly known?: string }, signal: AbortSignal): Promise<HostGoalsAnswer> {
    const { seeders, trust } = this.#deps;
    try {
      return await seeders.ask(
        (client) => client.hostGoals({ ...known, waitMs: longPollMsMax }, { signal }),
        signal,
      );
    } catch (error) {
      // Our passport may stand on a key that the newest trust document doesn't name any more: who knows
      // that document joins anew.
      if (error instanceof ShoalError && lostKeyCodes.has(error.code))
        await trust.take(await seeders.ask((client) => client.trust({ signal }), signal));
      throw error;
    }
  }

  /** First: the goals may be signed with a key that only the newest trust document names. */
  async #followTrust(edition: string, signal: AbortSignal): Promise<void> {
    const { trust, seeders } = this.#deps;
    if (edition === trust.edition() || edition === this.#trustEdition) return;
    await trust.take(await seeders.ask((client) => client.trust({ signal }), signal));
    this.#trustEdition = edition;
  }

  #take(
    envelopes: readonly Envelope[],
    statements: Readonly<Record<ArtifactCid, Envelope>>,
    nowMs: number,
  ): boolean {
    let hasChanged = false;
    for (const signed of envelopes) {
      const goal = this.#verified(signed, nowMs);
      if (goal === null) continue;
      const key = serviceKey(goal.environment, goal.service);
      const known = this.#goals.get(key)?.goal;
      if (known !== undefined && compareGoalOrder(goal, known) <= 0) {
        if (compareGoalOrder(goal, known) < 0) this.#refuse(goal, "older than the one known");
        continue;
      }
      if (known === undefined && this.#goals.size >= servicesPerHostMax) {
        this.#refuse(goal, "too many services");
        continue;
      }
      this.#goals.set(key, { goal, envelope: signed });
      hasChanged = true;
    }
    return this.#takeStatements(statements) || hasChanged;
  }

  /** Keeps those of artifacts that goals name; an answer without one doesn't take a known one away. */
  #takeStatements(statements: Readonly<Record<ArtifactCid, Envelope>>): boolean {
    const kept = new Map<ArtifactCid, Envelope>();
    for (const { goal } of this.#goals.values()) {
      for (const { artifact } of releasesOf(goal)) {
        const statement = statements[artifact] ?? this.#statements.get(artifact);
        if (statement !== undefined) kept.set(artifact, statement);
      }
    }
    const before = this.#statements;
    this.#statements = kept;
    return [...kept.keys()].some((cid) => !before.has(cid));
  }

  /** A goal that can't be believed is left out and logged: the others still count. */
  #verified(signed: Envelope, nowMs: number): Goal | null {
    const { trust, region, passport, log } = this.#deps;
    try {
      const goal = verifyGoal(signed, trust.document(), { nowMs });
      const environment = passport()?.environment ?? null;
      if (goal.region !== region) this.#refuse(goal, "of another region");
      else if (environment !== null && goal.environment !== environment)
        this.#refuse(goal, "of another environment");
      else return goal;
    } catch (error) {
      if (!(error instanceof ShoalError)) throw error;
      log.warn({ code: error.code, reason: error.message }, "refused a goal");
    }
    return null;
  }

  #refuse({ environment, service, region, epoch, generation }: Goal, reason: string): void {
    const goal = { environment, service, region, epoch, generation };
    this.#deps.log.warn({ ...goal, reason }, "refused a goal");
  }
}

function isFor(
  goal: Goal,
  { labels, environment }: Pick<Passport, "labels" | "environment">,
): boolean {
  return (
    (environment === null || environment === goal.environment) && selects(goal.selector, labels)
  );
}

function releasesOf(goal: Goal): readonly Release[] {
  return [...goal.prepare, goal.run, goal.fallback].filter((release) => release !== null);
}
