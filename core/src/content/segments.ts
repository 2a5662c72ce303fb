// Cutting a long stream in parallel. Segments of it are cut each as if a chunk began at its start; then
// they are joined in order: from where the segment before really ended, cuts are searched again until
// one falls on a cut of the segment, and from there on all others are right, because a cut depends on
// nothing but its chunk's start and bytes (PROTOCOL.md 2.1). Usually that takes three or four chunks;
// where content never agrees (long runs of one byte) all of a segment is cut again: slower, not wrong.
import { digest, digestBytes } from "../digest.ts";
import { chunkBytesMax, chunkBytesMin } from "../limits.ts";
import { nextCut, noCut } from "./chunker.ts";

/** The chunks of a segment that begin at `start` and follow one another; what is left has no end yet. */
export interface SegmentCuts {
  readonly start: number;
  /** Where each chunk ends in the buffer, rising. */
  readonly ends: Uint32Array;
  /** 32 bytes a chunk. */
  readonly hashes: Uint8Array;
}

/** Cuts and hashes what lies in start … end - 1 of a buffer. `isLast` says that the stream ends there. */
export function cutSegment(
  buffer: Uint8Array,
  start: number,
  end: number,
  isLast: boolean,
): SegmentCuts {
  const chunksMax = Math.ceil((end - start) / chunkBytesMin);
  const ends = new Uint32Array(chunksMax);
  const hashes = new Uint8Array(chunksMax * digestBytes);
  let count = 0;
  for (let at = start; ;) {
    const cut = nextCut(buffer, at, end, isLast);
    if (cut === noCut) break;
    hashes.set(digest(buffer.subarray(at, cut)), count * digestBytes);
    ends[count] = cut;
    count += 1;
    at = cut;
  }
  return { start, ends: ends.slice(0, count), hashes: hashes.slice(0, count * digestBytes) };
}

/**
 * The chunks that begin at `start`, which is at most `chunkBytesMax` before the segment's own start:
 * before the segment lies what the one before it left without an end.
 */
export function joinSegment(
  buffer: Uint8Array,
  start: number,
  segment: SegmentCuts,
  end: number,
  isLast: boolean,
): SegmentCuts {
  if (start === segment.start) return segment;
  const own: number[] = [];
  const digests: Uint8Array[] = [];
  // No cut was found before the segment's start, else it would have been taken.
  let searchedTo = segment.start;
  let at = start;
  // The first cut of the segment that isn't passed yet.
  let next = 0;
  for (;;) {
    const cut = nextCut(buffer, at, end, isLast, Math.max(at, searchedTo));
    if (cut === noCut) return { start, ends: Uint32Array.from(own), hashes: joined(digests) };
    own.push(cut);
    digests.push(digest(buffer.subarray(at, cut)));
    at = cut;
    searchedTo = cut;
    while (next < segment.ends.length && (segment.ends[next] as number) < cut) next += 1;
    if (segment.ends[next] !== cut) continue;
    const first = next + 1;
    digests.push(segment.hashes.subarray(first * digestBytes));
    return {
      start,
      ends: Uint32Array.from([...own, ...segment.ends.subarray(first)]),
      hashes: joined(digests),
    };
  }
}

/** Bytes that must be free before a segment for what the one before it leaves. */
export const segmentHeadBytes: number = chunkBytesMax;

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
