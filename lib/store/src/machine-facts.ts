// What a release folder has to know about the machine it is on.
import { readFile, statfs } from "node:fs/promises";
import { ShoalError } from "@shoal/core/error";
import type { Bytes } from "@shoal/core/units";

/** Names the current boot of a Linux machine; empty elsewhere. */
export async function readBootId(): Promise<string> {
  const text = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "");
  return text.trim();
}

/** Throws `disk_too_small` when a folder's disk has no room for so many bytes beside what is reserved. */
export async function checkRoom(
  dir: string,
  neededBytes: Bytes,
  reservedBytes: Bytes = 0,
): Promise<void> {
  const { bavail, bsize } = await statfs(dir);
  const freeBytes = Math.max(0, bavail * bsize - reservedBytes);
  if (neededBytes <= freeBytes) return;
  throw new ShoalError(
    "disk_too_small",
    `${dir} needs ${neededBytes} bytes, ${freeBytes} are free`,
    {
      blame: "environment",
      retryable: true,
      hint: "Free space on that disk, or give releases a larger one.",
      details: { neededBytes, freeBytes },
    },
  );
}
