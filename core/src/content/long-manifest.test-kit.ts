// For tests: a manifest that travels in blocks, of an artifact that is small all the same.
import type { Bytes } from "../units.ts";
import { encodeManifest } from "./manifest-codec.ts";

/** Encoded: a program of one chunk, and links with long targets. */
export function longManifest(chunkHash: Uint8Array, bytes: Bytes): Uint8Array {
  const links = Array.from({ length: 100 }, (_, index) => ({
    type: "link" as const,
    path: `link-${String(index).padStart(3, "0")}`,
    target: `${"folder/".repeat(500)}${index}`,
  }));
  return encodeManifest({
    kind: "tree",
    entries: [...links, { type: "file", path: "program", mode: 0o755, bytes }],
    bytes,
    chunkHashes: chunkHash,
    chunkBytes: Uint32Array.of(bytes),
  });
}
