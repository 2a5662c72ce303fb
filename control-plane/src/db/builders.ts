// Builders as they describe themselves when they ask for work.
import type { Queries } from "./connection.ts";

export interface BuilderFacts {
  readonly name: string;
  readonly holder: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly load: Readonly<Record<string, number>> | null;
}

/** Writes only what changed, or that the builder was heard of a while ago. */
export async function noteBuilder(queries: Queries, builder: BuilderFacts): Promise<void> {
  const load = builder.load === null ? null : queries.json(builder.load);
  await queries`
    insert into builders (name, holder, labels, load)
    values (${builder.name}, ${builder.holder}, ${queries.json(builder.labels)}, ${load})
    on conflict (name) do update set holder = excluded.holder, labels = excluded.labels,
      load = excluded.load, draining = false, seen_at = now()
    where builders.seen_at < now() - interval '5 seconds' or builders.labels <> excluded.labels
      or builders.holder <> excluded.holder or builders.draining`;
}

/** Writes down that a builder takes no more builds; asking for one takes it back. */
export async function noteDraining(queries: Queries, name: string, holder: string): Promise<void> {
  await queries`update builders set draining = true where name = ${name} and holder = ${holder}`;
}

/** Writes down the load of a builder that holds a build, when what is known is older than that. */
export async function noteLoad(
  queries: Queries,
  lease: { readonly build: number; readonly fence: string },
  load: Readonly<Record<string, number>>,
  olderThanMs: number,
): Promise<void> {
  await queries`
    update builders b set load = ${queries.json(load)}, seen_at = now() from leases l
    where l.build = ${lease.build} and l.fence = ${lease.fence}::bigint and b.name = l.builder
      and b.seen_at < now() - ${olderThanMs} * interval '1 millisecond'`;
}
