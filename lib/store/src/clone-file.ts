// A whole file from another one on the same file system, sharing its blocks (reflink: btrfs, XFS, and
// others that know FICLONE). Copies nothing: where blocks can't be shared, it says so.
import { constants } from "node:fs";
import { chmod, copyFile, rename, unlink } from "node:fs/promises";
import { errorCode, ignoreMissing } from "./durable-file.ts";

/** What systems answer when these two files can't share blocks. */
const cannotShare: ReadonlySet<string> = new Set([
  "ENOTSUP",
  "EOPNOTSUPP",
  "EXDEV",
  "EINVAL",
  "ENOSYS",
  "ENOTTY",
]);

/**
 * Replaces `to` by a clone of `from`, made under the name `aside` first. Answers "gone" when `from` isn't
 * there, "unable" when the file system can't share blocks between the two.
 */
export async function cloneFile(
  from: string,
  to: string,
  aside: string,
): Promise<"cloned" | "gone" | "unable"> {
  try {
    await copyFile(from, aside, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
  } catch (error) {
    const code = errorCode(error) ?? "";
    if (cannotShare.has(code)) return "unable";
    if (code === "ENOENT" || code === "ENOTDIR" || code === "EISDIR" || code === "ELOOP")
      return "gone";
    throw error;
  }
  try {
    // It has got the mode of a sealed file.
    await chmod(aside, 0o600);
    await rename(aside, to);
    return "cloned";
  } catch (error) {
    await unlink(aside).catch(ignoreMissing);
    throw error;
  }
}
