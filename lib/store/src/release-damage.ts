// How it shows, and how it is said, that a release's bytes on disk aren't what they should be.
import { ShoalError } from "@shoal/core/error";
import type { ArtifactCid } from "@shoal/core/ids";
import type { ChunkIndex } from "@shoal/core/units";
import { errorCode } from "./durable-file.ts";

const damageCodes: ReadonlySet<string> = new Set([
  "ENOENT",
  "ENOTDIR",
  "EISDIR",
  "ELOOP",
  "ENODATA",
  "EIO",
]);

/** Whether a system error says something about the files rather than about the machine's state. */
export function isDamage(error: unknown): boolean {
  return damageCodes.has(errorCode(error) ?? "");
}

export function withdrawn(cid: ArtifactCid, chunk: ChunkIndex, cause?: unknown): ShoalError {
  return new ShoalError("chunk_withdrawn", `chunk ${chunk} of ${cid} isn't held here`, {
    blame: "environment",
    details: { chunk },
    cause,
  });
}
