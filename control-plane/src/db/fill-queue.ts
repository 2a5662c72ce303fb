// Many builds at once, for measurements: as if each had been asked for by itself, one turn apart.
import type { Queries } from "./connection.ts";

/** Queues `count` builds of one project, with made-up commits. */
export async function fillQueue(queries: Queries, project: string, count: number): Promise<void> {
  await queries`
    insert into builds (project, commit_id, priority, tag)
    select ${project}, lpad(to_hex(n + (select coalesce(max(id), 0) from builds)), 40, '0'), 0,
      n::bigint * 1000000
    from generate_series(1, ${count}) n`;
  await queries`analyze builds`;
}
