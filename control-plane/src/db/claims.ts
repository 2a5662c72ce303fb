// How builders take builds. The guarantee about order: larger priorities first; within a priority
// the projects that wait take turns, each as often as its share says; within a project first in,
// first out. All of it among builds that are due, whose labels the builder has, whose project is
// below its cap, and that no other claim has locked at that moment. A build that is tried again keeps
// its place.
import type { Queries } from "./connection.ts";

export interface Claim {
  readonly build: number;
  readonly attempt: number;
  readonly fence: string;
  readonly at: Date;
  readonly project: string;
  readonly commit: string;
}

export interface Claimant {
  readonly builder: string;
  /** Name of the token that asks: the fence is good for nobody else. */
  readonly holder: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Where a look into the queue begins: nothing before it was due a moment ago. */
export interface QueuePlace {
  readonly lane: number;
  readonly tag: number;
}

export type ClaimAnswer =
  | { readonly type: "claimed"; readonly claim: Claim; readonly place: QueuePlace }
  | { readonly type: "nothing" }
  /** There is nothing else for a builder that holds a build already. */
  | { readonly type: "holding" }
  /** The next build is of a project with a cap: it is taken by `claimCapped`. */
  | { readonly type: "capped"; readonly project: string }
  /** The database isn't the one that was looked at. */
  | { readonly type: "unadopted" };

interface ClaimRow extends Claim {
  readonly adopted: boolean;
  readonly holding: boolean;
  readonly lane: number;
  readonly tag: number;
  readonly capped: string | null;
}

/**
 * Takes the next build: one statement, so that a claim leaves a lease and an attempt behind or
 * nothing. Throws a unique violation when the builder holds a build already.
 */
export async function claimNext(
  queries: Queries,
  claimant: Claimant,
  from: QueuePlace | null,
): Promise<ClaimAnswer> {
  return answerOf(await take(queries, claimant, from, null));
}

/**
 * Takes the next build of a project with a cap. The caller holds the project's lock since an earlier
 * statement, so that the count of its builds under way is exact.
 */
export async function claimCapped(
  queries: Queries,
  claimant: Claimant,
  project: string,
): Promise<ClaimAnswer> {
  return answerOf(await take(queries, claimant, null, project));
}

/** Any number that nobody else uses as the first of two for advisory locks in this database. */
const capLock = 0x540a2;

/** Held until the transaction ends: one claim at a time of a project with a cap. */
export async function lockCap(queries: Queries, project: string): Promise<void> {
  await queries`select pg_advisory_xact_lock(${capLock}, hashtext(${project}))`;
}

async function take(
  queries: Queries,
  { builder, holder, labels }: Claimant,
  from: QueuePlace | null,
  project: string | null,
): Promise<ClaimRow | undefined> {
  const [row] = await queries<ClaimRow[]>`
    select adopted, holding, lane, tag, capped, build, attempt, fence::text, project, commit, at
    from claim_build(${builder}, ${holder}, ${queries.json(labels)}, ${from?.lane ?? null},
      ${from?.tag ?? null}, ${project})`;
  return row;
}

function answerOf(row: ClaimRow | undefined): ClaimAnswer {
  if (row?.adopted !== true) return { type: "unadopted" };
  if (row.capped !== null) return { type: "capped", project: row.capped };
  if (row.build === null) return { type: row.holding ? "holding" : "nothing" };
  const { build, attempt, fence, at, project, commit } = row;
  return {
    type: "claimed",
    claim: { build, attempt, fence, at, project, commit },
    place: { lane: row.lane, tag: row.tag },
  };
}
