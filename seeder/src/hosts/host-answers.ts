// What hosts are answered when they ask for goals. Hosts that the same goals select share one answer,
// made once: a hundred thousand hosts are woken by one change.
import type { Envelope } from "@shoal/api/names";
import type { HostGoals, Plan, ServiceStatus } from "@shoal/api/seeder";
import { digest, toHex } from "@shoal/core/digest";
import { serviceKey } from "@shoal/core/ids";
import { hostAnswersMax } from "@shoal/core/limits";
import { releasesOf, type Goals, type SignedGoal } from "../goals.ts";
import type { RegionStore } from "../region/region-store.ts";
import { isOfEnvironment, isSelected } from "./service-sums.ts";

export interface HostAnswer {
  /** Changes with anything in the answer. */
  readonly version: string;
  /** `HostGoals` as JSON. */
  readonly body: string;
}

export interface HostAnswersDeps {
  readonly goals: Pick<Goals, "goals" | "edition">;
  readonly store: Pick<RegionStore, "get" | "edition">;
  /** The same list as long as nothing in it changes. */
  readonly seeders: () => Plan["seeders"];
  readonly trustEdition: () => string;
}

export class HostAnswers {
  readonly #deps: HostAnswersDeps;
  /** By the places of the goals in the list of all. */
  readonly #answers: Map<string, HostAnswer> = new Map();
  #madeOf: readonly unknown[] = [];

  constructor(deps: HostAnswersDeps) {
    this.#deps = deps;
  }

  /**
   * The goals that select a host, and those of services that it says it has: one that a changed
   * selector dropped has to hear of it, to stop.
   */
  answer(
    host: Parameters<typeof isSelected>[1],
    reported: readonly Pick<ServiceStatus, "environment" | "service">[],
  ): HostAnswer {
    const { goals, store, seeders, trustEdition } = this.#deps;
    const source = [goals.edition(), store.edition(), seeders(), trustEdition()];
    if (source.some((part, index) => part !== this.#madeOf[index])) this.#answers.clear();
    this.#madeOf = source;
    const all = goals.goals();
    const has = new Set(reported.map((one) => serviceKey(one.environment, one.service)));
    const places = all.flatMap(({ goal }, place) =>
      isSelected(goal, host) ||
      (isOfEnvironment(goal, host) && has.has(serviceKey(goal.environment, goal.service)))
        ? [place]
        : [],
    );
    const key = places.join(" ");
    const known = this.#answers.get(key);
    if (known !== undefined) return known;
    const answer = this.#make(all.filter((_goal, place) => places.includes(place)));
    if (this.#answers.size >= hostAnswersMax) this.#answers.clear();
    this.#answers.set(key, answer);
    return answer;
  }

  #make(goals: readonly SignedGoal[]): HostAnswer {
    const content: Omit<HostGoals, "version"> = {
      trustEdition: this.#deps.trustEdition(),
      goals: goals.map((signed) => signed.envelope),
      statements: this.#statementsOf(goals),
      seeders: [...this.#deps.seeders()],
    };
    const text = JSON.stringify(content);
    const version = toHex(digest(new TextEncoder().encode(text))).slice(0, 32);
    return { version, body: `{"version":"${version}",${text.slice(1)}` };
  }

  /** Of those artifacts of the goals that are here. */
  #statementsOf(goals: readonly SignedGoal[]): Record<string, Envelope> {
    const statements: Record<string, Envelope> = {};
    for (const { goal } of goals) {
      for (const { artifact } of releasesOf(goal)) {
        const statement = this.#deps.store.get(artifact)?.statement;
        if (statement !== undefined) statements[artifact] = statement;
      }
    }
    return statements;
  }
}
