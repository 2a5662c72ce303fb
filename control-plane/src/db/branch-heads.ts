// Projects whose branch heads are to be looked at, and which of their commits were never asked for.
import type { Queries } from "./connection.ts";

export interface WatchedProject {
  readonly project: string;
  readonly remoteUrl: string;
  readonly branches: readonly string[];
}

/** Takes projects that are due, the longest waiting first; they are due again after `againMs`. */
export async function takeDueProjects(
  queries: Queries,
  againMs: number,
  limit: number,
): Promise<WatchedProject[]> {
  return queries<WatchedProject[]>`
    with due as (
      select name from projects where branches <> '{}' and heads_due_at <= now()
      order by heads_due_at limit ${limit} for update skip locked
    )
    update projects p set heads_due_at = now() + ${againMs} * interval '1 millisecond'
    from due where p.name = due.name
    returning p.name as project, p.remote_url as "remoteUrl", p.branches`;
}

/** Those of the commits that have no build, however it ended. Asked of each of the two indexes of commits. */
export async function commitsWithoutBuild(
  queries: Queries,
  project: string,
  commits: readonly string[],
): Promise<string[]> {
  const rows = await queries<{ commit: string }[]>`
    select c.commit from unnest(${commits as string[]}::text[]) as c (commit)
    where not exists (
      select from builds b where b.project = ${project} and b.commit_id = c.commit
        and b.state in ('QUEUED', 'BUILDING', 'REPLICATING', 'SUCCEEDED') and not b.forced)
    and not exists (
      select from builds b where b.project = ${project} and b.commit_id = c.commit and (b.forced
        or b.state not in ('QUEUED', 'BUILDING', 'REPLICATING', 'SUCCEEDED')))`;
  return rows.map((row) => row.commit);
}
