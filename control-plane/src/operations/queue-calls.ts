// The four calls that a busy queue consists of, each done together with others of its kind: a build is
// asked for, claimed, kept and ended. What each of them guarantees is said in the folder with the SQL.
import type { Build } from "@shoal/api/control-plane";
import type { BuildState } from "@shoal/core/build/state";
import {
  type AttemptEnd,
  type KeptLease,
  type LeaseEnd,
  type LeaseProof,
  endAttempts,
  extendLeases,
} from "../db/build-queue.ts";
import { type NewBuild, findBuilds, insertBuilds } from "../db/builds.ts";
import { type ClaimAnswer, type Claimant, claimNext } from "../db/claims.ts";
import { type Database, wasRefused } from "../db/connection.ts";
import { QueuePlaces } from "./queue-places.ts";
import { Together } from "./together.ts";

export class QueueCalls {
  readonly places: QueuePlaces = new QueuePlaces();
  readonly #database: Database;
  readonly #claims: Together<Claimant, ClaimAnswer | "busy">;
  readonly #beats: Together<LeaseProof, KeptLease | null>;
  readonly #ends: Together<LeaseEnd, BuildState | null>;
  readonly #starts: Together<NewBuild, Build | undefined>;

  constructor(database: Database) {
    this.#database = database;
    this.#claims = new Together((claimants, labels) => this.#claim(claimants, labels), wasRefused);
    this.#beats = new Together((leases) => extendLeases(database, leases), wasRefused);
    this.#ends = new Together((ends) => this.#end(ends), wasRefused);
    this.#starts = new Together((builds) => this.#start(builds), wasRefused);
  }

  /** The next build for a builder; "busy": ask again. Throws a unique violation when it holds one. */
  claim(claimant: Claimant): Promise<ClaimAnswer | "busy"> {
    return this.#claims.do(JSON.stringify(claimant.labels), claimant);
  }

  /** Holds a lease longer; null when it doesn't count. */
  beat(lease: LeaseProof): Promise<KeptLease | null> {
    return this.#beats.do("", lease);
  }

  /** Ends an attempt; null when the lease doesn't count or the build's state doesn't allow it. */
  end(lease: LeaseProof, end: AttemptEnd): Promise<BuildState | null> {
    return this.#ends.do("", { lease, end });
  }

  /** Queues a build; undefined when its commit has one that isn't over or has succeeded. */
  start(input: NewBuild): Promise<Build | undefined> {
    return this.#starts.do(`${input.priority}/${input.project}`, input);
  }

  async #claim(claimants: readonly Claimant[], key: string): Promise<(ClaimAnswer | "busy")[]> {
    const labels = claimants[0]?.labels ?? {};
    const from = this.places.at(key);
    const startMs = performance.now();
    const answers = await claimNext(this.#database, claimants, labels, from);
    if (from === null) {
      const first = answers.find((answer) => answer.type === "claimed");
      if (first === undefined) this.places.forget();
      else this.places.keep(key, first.place, performance.now() - startMs);
      return answers;
    }
    return answers.map((answer) => {
      if (answer.type !== "nothing" && answer.type !== "holding") return answer;
      // Nothing behind the place: the whole queue is looked at next.
      this.places.forget();
      return "busy";
    });
  }

  async #end(ends: readonly LeaseEnd[]): Promise<(BuildState | null)[]> {
    const first = new Set(new Map(ends.toReversed().map((end) => [end.lease.build, end])).values());
    const states = await endAttempts(
      this.#database,
      ends.filter((end) => first.has(end)),
    );
    // Two ends of one build at once: the second finds the build as the first has left it.
    const others = ends.filter((end) => !first.has(end));
    const later = others.length === 0 ? [] : await this.#end(others);
    return ends.map((end) => (first.has(end) ? states : later).shift() ?? null);
  }

  async #start(inputs: readonly NewBuild[]): Promise<(Build | undefined)[]> {
    const [of] = inputs;
    if (of === undefined) return [];
    const ids = await insertBuilds(this.#database, of, inputs);
    const made = await findBuilds(
      this.#database,
      ids.filter((id) => id !== undefined),
    );
    return ids.map((id) => (id === undefined ? undefined : made.get(id)));
  }
}
