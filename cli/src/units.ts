// Quantities as people read them.
import { gibibyte, kibibyte, mebibyte } from "@shoal/core/units";

/** "64.2 MiB"; exact below a kibibyte. */
export function formatBytes(bytes: number): string {
  if (bytes < kibibyte) return `${bytes} B`;
  if (bytes < mebibyte) return `${(bytes / kibibyte).toFixed(1)} KiB`;
  if (bytes < gibibyte) return `${(bytes / mebibyte).toFixed(1)} MiB`;
  return `${(bytes / gibibyte).toFixed(2)} GiB`;
}

/** "850 ms", "4.2 s", "3 min 20 s". */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1000) return `${Math.round(durationMs)} ms`;
  if (durationMs < 60_000) return `${(durationMs / 1000).toFixed(1)} s`;
  const seconds = Math.round(durationMs / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** The first digits of a commit or CID, enough for a person to tell two apart. */
export function shortId(id: string): string {
  return id.startsWith("b") && id.length > 45 ? id.slice(-10) : id.slice(0, 10);
}
