// The four calls that a busy queue consists of, each done together with others of its kind: a build is
// asked for, claimed, kept and ended. What each of them guarantees is said in the folder with the SQL.
import type { Build } from "@shoal/api/control-plane";
import type { BuildState } from "@shoal/core/build/state";
import type { BuilderNote } from "../db/builders.ts";
import {
  type AttemptEnd,
  type KeptLease,
  type LeaseEnd,
  type LeaseProof,
  endAttempts,
  extendLeases,
} from "../db/build-queue.ts";
import { type NewBuild, findBuilds, insertBuilds } from "../db/builds.ts";
import {
  type ClaimAnswer,
  type Claimant,
  type Claiming,
  claimCapped,
  claimNext,
  lockCap,
} from "../db/claims.ts";
import { type Database, inTransaction, wasRefused } from "../db/connection.ts";
import { QueuePlaces } from "./queue-places.ts";
import { Together } from "./together.ts";

export class QueueCalls {
  readonly places: QueuePlaces = new QueuePlaces();
  readonly #database: Database;
  readonly #claimsDatabase: Database;
  readonly #claims: Together<Claimant, ClaimAnswer | "busy">;
  readonly #beats: Together<LeaseProof, KeptLease | null>;
  readonly #ends: Together<LeaseEnd, BuildState | null>;
  readonly #starts: Together<NewBuild, Build | undefined>;

  /**
   * `claims`: the pool of claims, of few connections. Each plans the claim anew whenever one of its tables
   * was vacuumed, once a minute on a busy queue, which takes longer than the claim.
   */
  constructor(database: Database, claims: Database = database) {
    this.#database = database;
    this.#claimsDatabase = claims;
    this.#claims = new Together((claimants, labels) => this.#claim(claimants, labels), wasRefused);
    this.#beats = new Together((leases) => extendLeases(database, leases), wasRefused);
    this.#ends = new Together((ends) => this.#end(ends), wasRefused);
    this.#starts = new Together((builds) => this.#start(builds), wasRefused);
  }

  /** The next build for a builder; "busy": ask again. */
  claim(claimant: Claimant): Promise<ClaimAnswer | "busy"> {
    return this.#claims.do(JSON.stringify(claimant.labels), claimant);
  }

  /** The next build of a project with a cap. */
  async claimCapped(claimant: Claimant, project: string): Promise<ClaimAnswer> {
    const answer = await inTransaction(this.#database, async (queries) => {
      await lockCap(queries, project);
      return claimCapped(queries, this.#claiming(claimant), project);
    });
    this.#note(claimant.builder, answer);
    return answer;
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

  async #claim(asked: readonly Claimant[], key: string): Promise<(ClaimAnswer | "busy")[]> {
    // A builder that asks twice at once gets one build at a time.
    const first = new Map(asked.toReversed().map((claimant) => [claimant.builder, claimant]));
    const claimants = asked.filter((claimant) => first.get(claimant.builder) === claimant);
    const from = this.places.at(key);
    const startMs = performance.now();
    const claiming = claimants.map((claimant) => this.#claiming(claimant));
    const labels = asked[0]?.labels ?? {};
    const answers = await this.#noting(claimants, (notes) =>
      claimNext(this.#claimsDatabase, claiming, { labels, notes }, from),
    );
    const given = new Map(claimants.map((claimant, index) => [claimant, answers[index]]));
    for (const [{ builder }, answer] of given) this.#note(builder, answer);
    const place = answers.find((answer) => answer.type === "claimed")?.place;
    if (from === null && place !== undefined) {
      this.places.keep(key, place, performance.now() - startMs);
    } else if (place === undefined) {
      this.places.forget();
    }
    return asked.map((claimant) => {
      const answer = given.get(claimant);
      if (answer === undefined || answer.type === "again") return "busy";
      // Nothing behind the place: the whole queue is looked at next.
      if (answer.type !== "nothing" || from === null) return answer;
      this.places.forget();
      return "busy";
    });
  }

  /** Calls with those that are to be written down. */
  async #noting<Answer>(
    claimants: readonly Claimant[],
    claim: (notes: readonly BuilderNote[]) => Promise<Answer>,
  ): Promise<Answer> {
    const notes = claimants.flatMap((claimant) => {
      const { builder: name, holder, load } = claimant;
      return load !== undefined && this.places.noted(claimant) ? [{ name, holder, load }] : [];
    });
    try {
      return await claim(notes);
    } catch (error) {
      for (const { name } of notes) this.places.unnoted(name);
      throw error;
    }
  }

  #claiming({ builder, holder, labels }: Claimant): Claiming & Claimant {
    return { builder, holder, labels, after: this.places.lastFence(builder) };
  }

  #note(builder: string, answer: ClaimAnswer | undefined): void {
    if (answer?.type === "claimed") this.places.gave(builder, answer.claim.fence);
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
