// Where builds happen. The work folder that the operator chose, when the build's user can reach it;
// otherwise (as root, with a folder below /root or a private temporary folder) a folder beside other
// temporary files, whose name is kept in the work folder, so that a later life finds and clears it.
import { randomBytes } from "node:crypto";
import { chmod, lstat, mkdir, realpath, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { readFileBounded, writeFileAtomic } from "@shoal/daemon/atomic-file";
import { type WorkspaceOwner, removeTree } from "./workspace.ts";

const recordBytesMax = 4096;
const othersMayEnter = 0o001;
const namePattern = /^shoal-builds-[0-9a-f]{16}$/;

export interface Scratch {
  /** Absolute, without links, open to be passed through but not listed. */
  readonly folder: string;
  /** Removes it when it isn't in the work folder. */
  close(): Promise<void>;
}

/** Opens the folder for builds. */
export async function openScratch(workDir: string, owner: WorkspaceOwner): Promise<Scratch> {
  await mkdir(workDir, { recursive: true, mode: 0o711 });
  const home = await realpath(workDir);
  const record = join(home, "scratch-elsewhere");
  await removeRecorded(record, owner.searchPath);
  if (owner.uid === null || (await othersCanReach(home))) {
    const folder = join(home, "builds");
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o711); // Whatever the umask: the build's user passes through it.
    return { folder, close: async () => undefined };
  }
  const folder = join(await realpath(tmpdir()), `shoal-builds-${randomBytes(8).toString("hex")}`);
  await writeFileAtomic(record, folder);
  await mkdir(folder, { mode: 0o711 });
  await chmod(folder, 0o711);
  return {
    folder,
    close: () => removeRecorded(record, owner.searchPath),
  };
}

async function removeRecorded(record: string, searchPath: string): Promise<void> {
  const bytes = await readFileBounded(record, recordBytesMax);
  if (bytes === undefined) return;
  const folder = new TextDecoder().decode(bytes);
  const found = await lstat(folder).catch(() => undefined);
  // Only what we made: others can make folders in a temporary folder too.
  const ours = found?.isDirectory() === true && found.uid === process.getuid?.();
  if (ours && namePattern.test(basename(folder))) await removeTree(folder, searchPath);
  await rm(record, { force: true });
}

async function othersCanReach(folder: string): Promise<boolean> {
  for (let current = folder; ; current = dirname(current)) {
    if (((await stat(current)).mode & othersMayEnter) === 0) return false;
    if (current === dirname(current)) return true;
  }
}
