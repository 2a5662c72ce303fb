// Builders as they describe themselves when they ask for work.
import type { Queries } from "./connection.ts";

export type Load = Readonly<Record<string, number>>;

/** One of several builders that have the same labels. */
export interface BuilderNote {
  readonly name: string;
  readonly holder: string;
  readonly load: Load | null;
}

/** Writes down who asks for work: only what changed, or that a builder was heard of a while ago. */
export const noteBuilders = (
  queries: Queries,
  notes: readonly BuilderNote[],
  labels: Readonly<Record<string, string>>,
) => queries`
  insert into builders (name, holder, labels, load)
  select n.name, n.holder, ${queries.json(labels)}, n.load
  from jsonb_to_recordset(${queries.json(notes as never)}) as n (name text, holder text, load jsonb)
  order by n.name
  on conflict (name) do update set holder = excluded.holder, labels = excluded.labels,
    load = excluded.load, draining = false, seen_at = now()
  where builders.seen_at < now() - interval '5 seconds' or builders.labels <> excluded.labels
    or builders.holder <> excluded.holder or builders.draining`;

/** Writes down that a builder takes no more builds; asking for one takes it back. */
export async function noteDraining(queries: Queries, name: string, holder: string): Promise<void> {
  await queries`update builders set draining = true where name = ${name} and holder = ${holder}`;
}

/** Writes down the load of a builder that holds a build, when what is known is older than that. */
export async function noteLoad(
  queries: Queries,
  lease: { readonly build: number; readonly fence: string },
  load: Load,
  olderThanMs: number,
): Promise<void> {
  await queries`
    update builders b set load = ${queries.json(load)}, seen_at = now() from leases l
    where l.build = ${lease.build} and l.fence = ${lease.fence}::bigint and b.name = l.builder
      and b.seen_at < now() - ${olderThanMs} * interval '1 millisecond'`;
}
