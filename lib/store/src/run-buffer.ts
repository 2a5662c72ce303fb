// Memory in which threads unpack a run of chunks: shared with them, and to be used again and again, because nobody
// can give shared memory back, and the collector comes late.
import type { Bytes } from "@shoal/core/units";
import { readOffset } from "./segment-buffers.ts";

export interface RunBuffer {
  readonly memory: SharedArrayBuffer;
  /** For what is read. */
  readonly stored: Uint8Array;
  /** For what comes of it. */
  readonly raw: Uint8Array;
}

/** Room for a run of so many bytes, compressed and not. */
export function makeRunBuffer(bytes: Bytes): RunBuffer {
  const memory = new SharedArrayBuffer(readOffset + 2 * bytes);
  return {
    memory,
    stored: new Uint8Array(memory, readOffset, bytes),
    raw: new Uint8Array(memory, readOffset + bytes, bytes),
  };
}
