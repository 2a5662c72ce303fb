// Reads logs of builds: from the store what is sealed, from rows what isn't yet.
import { ShoalError } from "@shoal/core/error";
import { logReadBytesMax } from "@shoal/core/limits";
import type { BlobStore } from "@shoal/store/blob-store";
import { readLogParts } from "../db/build-logs.ts";
import type { Database } from "../db/connection.ts";
import { type Wakeups, lookUntil } from "../db/wakeups.ts";
import { notFound } from "./not-found.ts";

export interface LogReadDeps {
  readonly database: Database;
  /** Null where logs stay in rows, because no store is shared with the other control planes. */
  readonly logs: BlobStore | null;
}

export interface LogSlice {
  readonly bytes: Uint8Array;
  readonly nextOffset: number;
  readonly ended: boolean;
}

/** The log from an offset on; waits for more when there is none yet and the build goes on. */
export async function readLog(
  deps: LogReadDeps & { readonly wakeups: Wakeups },
  id: number,
  query: { readonly offset: number; readonly waitMs: number },
  signal: AbortSignal,
): Promise<LogSlice> {
  const look = async (): Promise<LogSlice | undefined> => {
    const slice = await readSlice(deps, id, query.offset, logReadBytesMax);
    return slice.bytes.length > 0 || slice.ended ? slice : undefined;
  };
  const found = await lookUntil(deps.wakeups, `log:${id}`, query.waitMs, signal, look);
  return found ?? { bytes: new Uint8Array(), nextOffset: query.offset, ended: false };
}

/** What there is from an offset on, at most `bytesMax`; less at the end of a segment. */
export async function readSlice(
  { database, logs }: LogReadDeps,
  id: number,
  offset: number,
  bytesMax: number,
): Promise<LogSlice> {
  const { parts, segment, state } = await readLogParts(database, id, offset, bytesMax);
  if (state === null) throw notFound("build", id);
  if (segment !== null) {
    if (logs === null) throw noStore();
    const from = offset - segment.position;
    const range = { offset: from, bytes: Math.min(bytesMax, segment.bytes - from) };
    const bytes = await logs.get(segment.key, range);
    return { bytes, nextOffset: offset + bytes.length, ended: false };
  }
  const slices: Uint8Array[] = [];
  let at = offset;
  for (const { position, bytes } of parts) {
    if (position > at) break;
    const left = bytesMax - (at - offset);
    const slice = bytes.subarray(at - position, at - position + left);
    slices.push(slice);
    at += slice.length;
  }
  const final = ["SUCCEEDED", "FAILED", "CANCELLED", "DEAD"].includes(state);
  return { bytes: Buffer.concat(slices), nextOffset: at, ended: final && at === offset };
}

/** What a reader gets here of a log that is in a store elsewhere. */
export function noStore(): ShoalError {
  return new ShoalError("log_store_missing", "This log is in a store that isn't configured here.", {
    blame: "local",
    hint: "Set logDir to the folder that the control planes share.",
  });
}
