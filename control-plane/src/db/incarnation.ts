// Which server the database is on, and the change to another incarnation. What it means is decided
// in core; here it is looked at and written, under a lock on the one row about the fleet.
import type { ServerKnown, ServerSeen } from "@shoal/core/build/incarnation";
import type { Queries } from "./connection.ts";

export interface ServerFacts extends ServerSeen {
  readonly known: ServerKnown;
}

/** Fails on a server in recovery, which can't be written to anyway. */
export async function lookAtServer(queries: Queries): Promise<ServerFacts> {
  const [row] = await queries<(ServerSeen & Record<string, string>)[]>`
    select shoal_server() as server, s.system_identifier::text as "systemId",
      substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) as timeline,
      (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint as "logBytes",
      f.server as "knownServer", f.system_id as "knownSystemId", f.timeline as "knownTimeline"
    from fleet f, pg_control_system() s`;
  if (row === undefined) throw new Error("the row about the fleet is missing");
  const { server, systemId, timeline, logBytes } = row;
  const known = {
    server: row["knownServer"] ?? "",
    systemId: row["knownSystemId"] ?? "",
    timeline: row["knownTimeline"] ?? "",
  };
  return { server, systemId, timeline, logBytes, known };
}

/** Keeps everybody else from changing or reading-to-change the fleet's row until the transaction ends. */
export async function lockFleet(queries: Queries): Promise<void> {
  await queries`select from fleet for update`;
}

export async function writeServer(queries: Queries, seen: ServerSeen): Promise<void> {
  await queries`
    update fleet set server = ${seen.server}, system_id = ${seen.systemId},
      timeline = ${seen.timeline}`;
}

/** Gives the database a new incarnation and the next epoch; answers them. */
export async function renewIncarnation(
  queries: Queries,
): Promise<{ readonly incarnation: string; readonly epoch: number }> {
  const [row] = await queries<{ incarnation: string; epoch: number }[]>`
    update fleet set incarnation = gen_random_uuid(), epoch = epoch + 1
    returning incarnation, epoch`;
  if (row === undefined) throw new Error("the row about the fleet is missing");
  return row;
}

/** Whether statements about leases count at the moment. */
export async function serverAdopted(queries: Queries): Promise<boolean> {
  const [row] = await queries<{ adopted: boolean }[]>`
    select server = shoal_server() as adopted from fleet`;
  return row?.adopted ?? false;
}
