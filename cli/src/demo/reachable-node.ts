// Root's programs run as an ordinary user, who must be able to reach the Node binary: it may lie
// under a folder that only root can enter, such as /root.
import { constants } from "node:fs";
import { copyFile, mkdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Path of a Node binary that every user of this machine can run; copies ours into `dir` if need be. */
export async function reachableNode(dir: string): Promise<string> {
  if (process.getuid?.() !== 0 || (await isReachable(process.execPath))) return process.execPath;
  const copy = join(dir, "tools", "node");
  await mkdir(dirname(copy), { recursive: true, mode: 0o755 });
  await copyFile(process.execPath, copy, constants.COPYFILE_FICLONE);
  return copy;
}

async function isReachable(path: string): Promise<boolean> {
  const othersExecute = 0o001;
  for (let current = path; ; current = dirname(current)) {
    if (((await stat(current)).mode & othersExecute) === 0) return false;
    if (current === dirname(current)) return true;
  }
}
