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
