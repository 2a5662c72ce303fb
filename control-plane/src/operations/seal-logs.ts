// Moves logs from rows into the store, a segment at a time, and reads them back. A kill between the
// two leaves an object that no row names, and the next round makes the same one again.
import { digest, toHex } from "@shoal/core/digest";
import { ShoalError } from "@shoal/core/error";
import { logSegmentBytes } from "@shoal/core/limits";
import type { BlobStore } from "@shoal/store/blob-store";
import type { Database } from "../db/connection.ts";
import { listSegments, logsToSeal, readTail, replaceBySegment } from "../db/log-segments.ts";
import { noStore } from "./read-log.ts";

export interface SealDeps {
  readonly database: Database;
  readonly logs: BlobStore;
}

/** Most logs that one round works on; the next round goes on. */
const logsPerRound = 50;

/** Seals what is to be sealed; answers how many segments were made. */
export async function sealLogs(deps: SealDeps): Promise<number> {
  let made = 0;
  for (const build of await logsToSeal(deps.database, logSegmentBytes, logsPerRound)) {
    while (await sealOne(deps, build)) made += 1;
  }
  return made;
}

async function sealOne({ database, logs }: SealDeps, build: number): Promise<boolean> {
  const tail = await readTail(database, build, logSegmentBytes);
  if (tail === null) return false;
  const bytes = tail.parts.reduce((sum, part) => sum + part.length, 0);
  const hash = digest(Buffer.concat(tail.parts, bytes));
  const place = tail.position.toString(16).padStart(12, "0");
  const key = `logs/${build}/${place}-${toHex(hash).slice(0, 32)}`;
  await logs.put(key, tail.parts, { ifAbsent: true });
  const chain = chainOf(tail.chain, hash);
  return replaceBySegment(database, build, { position: tail.position, bytes, key, chain });
}

/** The next link of a chain; the first has nothing before it. */
function chainOf(before: Uint8Array | null, segment: Uint8Array): Uint8Array {
  return digest(Buffer.concat([before ?? new Uint8Array(32), segment]));
}

export interface LogCheck {
  readonly segments: number;
  readonly bytes: number;
  /** The last link, in hexadecimal; null without a segment. */
  readonly chain: string | null;
  /** Where the first segment begins whose bytes or place aren't what the chain says; null when all are. */
  readonly brokenAt: number | null;
}

/** Reads every segment of a build's log, one at a time, and compares it with the chain. */
export async function checkLog(
  { database, logs }: { readonly database: Database; readonly logs: BlobStore | null },
  build: number,
): Promise<LogCheck> {
  const segments = await listSegments(database, build);
  const last = segments.at(-1);
  const facts = {
    segments: segments.length,
    bytes: last === undefined ? 0 : last.position + last.bytes,
    chain: last === undefined ? null : toHex(last.chain),
  };
  if (segments.length > 0 && logs === null) throw noStore();
  let before: Uint8Array | null = null;
  let at = 0;
  for (const segment of segments) {
    const bytes = (await logs?.get(segment.key).catch(noneWhenMissing)) ?? new Uint8Array(0);
    before = chainOf(before, digest(bytes));
    if (segment.position !== at || Buffer.compare(before, segment.chain) !== 0) {
      return { ...facts, brokenAt: segment.position };
    }
    at += bytes.length;
  }
  return { ...facts, brokenAt: null };
}

function noneWhenMissing(error: unknown): null {
  if (error instanceof ShoalError && error.code === "blob_missing") return null;
  throw error;
}
