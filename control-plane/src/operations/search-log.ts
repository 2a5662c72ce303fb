// Looks for text in a log of any size, a part at a time: what is in memory is one part and the lines
// that were found.
import { logSearchHitsMax, logSearchLineBytesMax, logSegmentBytes } from "@shoal/core/limits";
import { type LogReadDeps, readSlice } from "./read-log.ts";

export interface LogHit {
  /** Of the text, in the build's log. */
  readonly offset: number;
  /** The line it is in, cut at both ends when it is long. */
  readonly line: string;
}

export interface LogHits {
  readonly items: readonly LogHit[];
  /** Where to go on; null when the log was looked through to its present end. */
  readonly nextOffset: number | null;
}

const newline = 10;

/** Finds `text` from an offset on. Text that lies across two parts is found like any other. */
export async function searchLog(
  deps: LogReadDeps,
  build: number,
  query: { readonly text: string; readonly offset: number; readonly limit: number },
  signal: AbortSignal,
): Promise<LogHits> {
  const wanted = Buffer.from(query.text);
  const limit = Math.min(query.limit, logSearchHitsMax);
  const items: LogHit[] = [];
  let kept = Buffer.alloc(0);
  let at = query.offset;
  while (!signal.aborted) {
    const { bytes } = await readSlice(deps, build, at, logSegmentBytes);
    const part = Buffer.concat([kept, bytes]);
    const start = at - kept.length;
    // What may be the beginning of a line that goes on is looked at again with what follows it.
    const lastLine = part.lastIndexOf(newline) + 1;
    const until =
      bytes.length === 0 ? part.length : Math.max(lastLine, part.length - logSearchLineBytesMax);
    for (let from = 0; ;) {
      const found = part.indexOf(wanted, from);
      if (found < 0 || found >= until) break;
      items.push({ offset: start + found, line: lineAt(part, found) });
      if (items.length === limit) return { items, nextOffset: start + found + 1 };
      from = found + 1;
    }
    if (bytes.length === 0) return { items, nextOffset: null };
    at += bytes.length;
    kept = Buffer.from(part.subarray(until));
  }
  return { items, nextOffset: at };
}

function lineAt(part: Buffer, found: number): string {
  const half = logSearchLineBytesMax / 2;
  const before = found === 0 ? -1 : part.lastIndexOf(newline, found - 1);
  const after = part.indexOf(newline, found);
  const start = Math.max(before + 1, found - half);
  const end = Math.min(after < 0 ? part.length : after, found + half);
  return part.toString("utf8", start, end);
}
