// Segments of logs that are in the store, and the rows that still have to go there.
import type { Queries } from "./connection.ts";

export interface LogSegment {
  readonly position: number;
  readonly bytes: number;
  readonly key: string;
  readonly chain: Uint8Array;
}

/** Builds with a segment's worth of rows, or that have ended and have any. */
export async function logsToSeal(
  queries: Queries,
  segmentBytes: number,
  limit: number,
): Promise<number[]> {
  const rows = await queries<{ build: number }[]>`
    select p.build from log_parts p join builds b on b.id = p.build
    group by p.build, b.state
    having sum(length(p.bytes)) >= ${segmentBytes}
      or b.state in ('SUCCEEDED', 'FAILED', 'CANCELLED', 'DEAD')
    limit ${limit}`;
  return rows.map((row) => row.build);
}

export interface LogTail {
  readonly position: number;
  readonly chain: Uint8Array | null;
  readonly parts: readonly Uint8Array[];
}

/** The rows behind the last segment, from its end on, as far as `bytesMax` reaches. */
export async function readTail(
  queries: Queries,
  build: number,
  bytesMax: number,
): Promise<LogTail | null> {
  const [last] = await queries<{ end: number; chain: Uint8Array }[]>`
    select position + bytes as end, chain from log_segments where build = ${build}
    order by position desc limit 1`;
  const rows = await queries<{ position: number; bytes: Uint8Array }[]>`
    select position, bytes from log_parts where build = ${build}
      and position >= ${last?.end ?? 0} and position < ${(last?.end ?? 0) + bytesMax}
    order by position`;
  const [first] = rows;
  if (first === undefined) return null;
  const parts: Uint8Array[] = [];
  let at = first.position;
  for (const row of rows) {
    if (row.position !== at) break;
    parts.push(row.bytes);
    at += row.bytes.length;
  }
  return { position: first.position, chain: last?.chain ?? null, parts };
}

/** Puts a segment in the place of its rows: both, or neither when another process was first. */
export async function replaceBySegment(
  queries: Queries,
  build: number,
  segment: LogSegment,
): Promise<boolean> {
  const { position, bytes, key, chain } = segment;
  const done = await queries`
    with made as (
      insert into log_segments (build, position, bytes, key, chain)
      values (${build}, ${position}, ${bytes}, ${key}, ${Buffer.from(chain)})
      on conflict do nothing returning build
    )
    delete from log_parts p using made
    where p.build = made.build and p.position >= ${position} and p.position < ${position + bytes}`;
  return done.count > 0;
}

export async function listSegments(queries: Queries, build: number): Promise<LogSegment[]> {
  return queries<LogSegment[]>`
    select position, bytes, key, chain from log_segments where build = ${build} order by position`;
}
