// How builders take builds. The guarantee about order: larger priorities first; within a priority
// the projects that wait take turns, each as often as its share says; within a project first in,
// first out. All of it among builds that are due, whose labels the builder has, whose project is
// below its cap, and that no other claim has locked at that moment. A build that is tried again keeps
// its place.
import type { Project } from "@shoal/api/control-plane";
import { type BuilderNote, type Load, noteBuilders } from "./builders.ts";
import type { Fragment, Queries } from "./connection.ts";

export interface Claim {
  readonly build: number;
  readonly attempt: number;
  readonly fence: string;
  readonly at: Date;
  readonly project: string;
  readonly commit: string;
  /** Of the project, as it is at this moment. */
  readonly source: Pick<
    Project,
    "remoteUrl" | "buildCommand" | "artifactPath" | "prepare" | "test" | "limits"
  >;
}

export interface Claimant {
  readonly builder: string;
  /** Name of the token that asks: the fence is good for nobody else. */
  readonly holder: string;
  readonly labels: Readonly<Record<string, string>>;
  /** As it says itself; absent: it isn't to be written down as a builder. */
  readonly load?: Load | null;
}

/** One of several builders with the same labels. */
export interface Claiming extends Pick<Claimant, "builder" | "holder"> {
  /** Of its last lease that is known: none before it is alive. "0" when none is known. */
  readonly after: string;
}

/** Where a look into the queue begins: nothing before it was due a moment ago. */
export interface QueuePlace {
  readonly lane: number;
  readonly tag: number;
}

export type ClaimAnswer =
  | { readonly type: "claimed"; readonly claim: Claim; readonly place: QueuePlace }
  | { readonly type: "nothing" }
  /** The builder holds a build already. */
  | { readonly type: "holding" }
  /** Another one of those that claimed together holds a build already, and nobody got any. */
  | { readonly type: "again" }
  /** The next build is of a project with a cap: it is taken by `claimCapped`. */
  | { readonly type: "capped"; readonly project: string }
  /** The database isn't the one that was looked at. */
  | { readonly type: "unadopted" };

/** Of turn 0: what holds for all, with the first project that has a cap; of others: a claim. */
interface TurnRow extends Claim, QueuePlace {
  readonly turn: number;
  readonly adopted: boolean;
  readonly holding: readonly string[];
}

/** Before every place that there is. */
const wholeQueue = { lane: -32_768, tag: Number.MIN_SAFE_INTEGER };

/**
 * Takes the next build for each of several builders with the same labels, in their order: one statement,
 * so that every claim leaves a lease and an attempt behind or none does. `notes`: those of them, each
 * once, that are to be written down, in the same statement and commit.
 */
export async function claimNext(
  queries: Queries,
  claimants: readonly Claiming[],
  {
    labels,
    notes,
  }: { readonly labels: Claimant["labels"]; readonly notes: readonly BuilderNote[] },
  from: QueuePlace | null,
): Promise<ClaimAnswer[]> {
  const also =
    notes.length === 0
      ? queries``
      : queries`with noted as (${noteBuilders(queries, notes, labels)})`;
  return take(queries, claimants, { labels, also }, from ?? wholeQueue, null);
}

/**
 * Takes the next build of a project with a cap. The caller holds the project's lock since an earlier
 * statement, so that the count of its builds under way is exact.
 */
export async function claimCapped(
  queries: Queries,
  claimant: Claiming & Pick<Claimant, "labels">,
  project: string,
): Promise<ClaimAnswer> {
  const { labels } = claimant;
  const [answer] = await take(
    queries,
    [claimant],
    { labels, also: queries`` },
    wholeQueue,
    project,
  );
  return answer ?? { type: "nothing" };
}

async function take(
  queries: Queries,
  claimants: readonly Claiming[],
  { labels, also }: { readonly labels: Claimant["labels"]; readonly also: Fragment },
  from: QueuePlace,
  project: string | null,
): Promise<ClaimAnswer[]> {
  const builders = claimants.map(({ builder }) => builder);
  const holders = claimants.map(({ holder }) => holder);
  const after = claimants.map((claimant) => claimant.after);
  const rows = await queries<TurnRow[]>`
    ${also}
    select turn, adopted, holding, build, attempt, fence::text, project, commit, lane, tag, at, source
    from claim_builds(${builders}, ${holders}, ${after}::text[]::bigint[], ${queries.json(labels)},
      ${from.lane}, ${from.tag}, ${project})`;
  const head = rows.find((row) => row.turn === 0);
  const byTurn = new Map(rows.map((row) => [row.turn, row]));
  return builders.map((builder, index) => {
    if (head?.adopted !== true) return { type: "unadopted" };
    const row = byTurn.get(index + 1);
    if (row !== undefined) return claimed(row);
    if (head.holding.includes(builder)) return { type: "holding" };
    if (head.holding.length > 0) return { type: "again" };
    return head.project === null ? { type: "nothing" } : { type: "capped", project: head.project };
  });
}

function claimed({ lane, tag, ...row }: TurnRow): ClaimAnswer {
  const { build, attempt, fence, at, project, commit, source } = row;
  return {
    type: "claimed",
    claim: { build, attempt, fence, at, project, commit, source },
    place: { lane, tag },
  };
}

/** Any number that nobody else uses as the first of two for advisory locks in this database. */
const capLock = 0x540a2;

/** Held until the transaction ends: one claim at a time of a project with a cap. */
export async function lockCap(queries: Queries, project: string): Promise<void> {
  await queries`select pg_advisory_xact_lock(${capLock}, hashtext(${project}))`;
}
