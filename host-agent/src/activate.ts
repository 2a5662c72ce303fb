// The atomic switch: `current` of a service is a symbolic link that is replaced by a rename.
import { syncDirectory } from "@shoal/daemon/atomic-file";
import { rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";

/** Points `<serviceDir>/current` at a release directory; durable when it resolves. */
export async function switchCurrent(serviceDir: string, releaseDir: string): Promise<void> {
  const next = join(serviceDir, "current.next");
  await rm(next, { force: true });
  await symlink(releaseDir, next);
  await rename(next, join(serviceDir, "current"));
  await syncDirectory(serviceDir);
}
