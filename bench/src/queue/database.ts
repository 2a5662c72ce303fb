// What benches do to the Postgres they measure on: databases of their own, and faults.
import postgres from "postgres";

/** Makes an empty database beside the one of the URL, and answers its URL. */
export async function createDatabase(url: string, name: string): Promise<string> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  await sql.unsafe(`create database ${name}`);
  await sql.end();
  return url.replace(/\/[^/]*$/, `/${name}`);
}

/** Ends every backend of the control planes; answers how many. */
export async function killBackends(url: string): Promise<number> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  const killed = await sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'shoal-control-plane'`;
  await sql.end();
  return killed.length;
}

/** Takes every connection that the server has left, ends the others' and keeps all for a while. */
export async function exhaustConnections(url: string, holdMs: number): Promise<number> {
  const held: postgres.Sql[] = [];
  const endMs = performance.now() + holdMs;
  await killBackends(url);
  while (performance.now() < endMs) {
    const sql = postgres(url, { max: 1, onnotice: () => undefined, connect_timeout: 1 });
    try {
      await sql`select 1`;
      held.push(sql);
    } catch {
      await sql.end({ timeout: 0 });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  await Promise.all(held.map((sql) => sql.end({ timeout: 1 })));
  return held.length;
}

/** A million builds that have ended, and some that wait, as if each had been asked for by itself. */
export async function fillBuilds(url: string, ended: number, queued: number): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  const portion = 50_000;
  for (let from = 0; from < ended; from += portion) {
    const count = Math.min(portion, ended - from);
    await sql`
      insert into builds (project, commit_id, priority, tag, state, attempt, leased_at, ended_at)
      select 'bench', 'e' || lpad(to_hex(${from} + n), 39, '0'), 0, 0, 'FAILED', 1, now(), now()
      from generate_series(1, ${count}) n`;
  }
  await sql`
    insert into builds (project, commit_id, priority, tag)
    select 'bench', 'a' || lpad(to_hex(n), 39, '0'), 0, n::bigint * 1000000
    from generate_series(1, ${queued}) n`;
  await sql`vacuum (analyze) builds`;
  // What was written is on disk before anything is measured, and not in the middle of it.
  await sql`checkpoint`;
  await sql.end();
}

/** Parts of logs that are still in Postgres. */
export async function countLogRows(url: string): Promise<number> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  const [row] = await sql<{ parts: number }[]>`select count(*)::int as parts from log_parts`;
  await sql.end();
  return row?.parts ?? 0;
}

/** How Postgres does what the calls ask for, one text each. */
export async function explainCalls(url: string): Promise<Readonly<Record<string, string>>> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  const explain = async (statement: string): Promise<string> => {
    const rows = await sql.unsafe(`explain (analyze, buffers, costs off) ${statement}`);
    return rows.map((row) => String(row["QUERY PLAN"])).join("\n");
  };
  const plans = {
    get: await explain("select * from builds where id = 500000"),
    list: await explain("select * from builds where id < 2147483647 order by id desc limit 51"),
    listOfProject: await explain(
      "select * from builds where (project, id) < ('bench', 2147483647) and project >= 'bench' order by project desc, id desc limit 51",
    ),
    claim: await explain(
      "select id from builds where state = 'QUEUED' and not_before <= now() order by lane, tag, id limit 1 for update skip locked",
    ),
  };
  await sql.end();
  return plans;
}

/** Holds a snapshot open, as a dump or a report does, until the returned function is called. */
export async function holdSnapshot(url: string): Promise<() => Promise<void>> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  const held = await sql.reserve();
  await held`begin isolation level repeatable read`;
  await held`select count(*) from builds`;
  return async () => {
    await held`rollback`;
    held.release();
    await sql.end();
  };
}
