// Logs of builds: parts by their position in the build's log, in which every attempt's log follows
// the one before it.
import { type LeaseProof, leaseCounts } from "./build-queue.ts";
import type { Queries } from "./connection.ts";

export interface LogAttempt {
  readonly attempt: number;
  readonly base: number;
  readonly received: number;
  readonly kept: number;
}

/** The attempt of a fence, held until the transaction ends; null when it has ended or never was. */
export async function lockLog(queries: Queries, lease: LeaseProof): Promise<LogAttempt | null> {
  const [row] = await queries<LogAttempt[]>`
    select a.attempt, a.log_base as base, a.log_received as received, a.log_kept as kept
    from attempts a join leases l on l.build = a.build and l.fence = a.fence, fleet f
    where a.build = ${lease.build} and a.ended_at is null and ${leaseCounts(queries, lease)}
    for update of a`;
  return row ?? null;
}

/** The newest attempt of a locked build, however it stands. */
export async function newestLog(queries: Queries, build: number): Promise<LogAttempt | null> {
  const [row] = await queries<LogAttempt[]>`
    select attempt, log_base as base, log_received as received, log_kept as kept
    from attempts where build = ${build} order by attempt desc limit 1 for update`;
  return row ?? null;
}

/** Counts bytes that came in, and keeps those given. */
export async function addToLog(
  queries: Queries,
  build: number,
  log: LogAttempt,
  receivedBytes: number,
  keep: Uint8Array,
): Promise<void> {
  await queries`
    update attempts set log_received = log_received + ${receivedBytes},
      log_kept = log_kept + ${keep.length}
    where build = ${build} and attempt = ${log.attempt}`;
  if (keep.length === 0) return;
  await queries`
    insert into log_parts (build, position, bytes)
    values (${build}, ${log.base + log.kept}, ${Buffer.from(keep)})`;
}

export interface LogRead {
  /** Contiguous, beginning with the part that contains the offset. */
  readonly parts: readonly { readonly position: number; readonly bytes: Uint8Array }[];
  /** In the store, and contains the offset. */
  readonly segment: {
    readonly position: number;
    readonly bytes: number;
    readonly key: string;
  } | null;
  /** Null when there is no such build. */
  readonly state: string | null;
}

interface LogRow {
  readonly position: number;
  readonly bytes: Uint8Array | null;
  readonly key: string | null;
  readonly length: number | null;
}

/** The segment or the parts that contain `offset` and what follows it, as far as `bytesMax` reaches, and the state before. */
export async function readLogParts(
  queries: Queries,
  build: number,
  offset: number,
  bytesMax: number,
): Promise<LogRead> {
  // The state first: a log that is read after its build ended is whole.
  const [row] = await queries<{ state: string }[]>`select state from builds where id = ${build}`;
  if (row === undefined) return { parts: [], segment: null, state: null };
  // One statement: what moves from rows into the store meanwhile is seen here or there.
  const rows = await queries<LogRow[]>`
    (select position, null::bytea as bytes, key, bytes as length from log_segments
      where build = ${build} and position <= ${offset} and position + bytes > ${offset})
    union all
    (select position, bytes, null, null from log_parts
      where build = ${build} and position < ${offset + bytesMax}
        and position >= coalesce((select max(position) from log_parts
          where build = ${build} and position <= ${offset}), 0)
      order by position limit 1024)`;
  const parts = rows.flatMap(({ position, bytes }) =>
    bytes === null ? [] : [{ position, bytes }],
  );
  const sealed = rows.find((found) => found.key !== null);
  const segment =
    sealed === undefined
      ? null
      : { position: sealed.position, bytes: sealed.length ?? 0, key: sealed.key ?? "" };
  return { parts: parts.toSorted((a, b) => a.position - b.position), segment, state: row.state };
}
