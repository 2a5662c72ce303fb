// The folders of one attempt: the checkout, a /tmp, a home and the project's secrets, for the build's user alone. Removed
// when the attempt ends; what an earlier life of the builder left is removed at its start.
import { chmod, chown, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { ShoalError } from "@shoal/core/error";
import { checkoutMsMax } from "@shoal/core/limits";
import { runProgram } from "@shoal/daemon/program";
import type { LaunchFolders } from "./sandbox/launch.ts";

export interface WorkspaceOwner {
  /** The build's user, when it isn't the builder's own. */
  readonly uid: number | null;
  readonly searchPath: string;
}

export interface Workspace {
  readonly folder: string;
  readonly folders: LaunchFolders;
}

/** Makes the folders of an attempt, for the build's user. */
export async function makeWorkspace(
  parent: string,
  id: string,
  owner: WorkspaceOwner,
): Promise<Workspace> {
  const folder = join(parent, id);
  await mkdir(folder, { mode: 0o711 });
  await chmod(folder, 0o711); // Whatever the umask: the build's user passes through it.
  const folders = {
    source: join(folder, "source"),
    temporary: join(folder, "tmp"),
    home: join(folder, "home"),
    secrets: join(folder, "secrets"),
  };
  for (const path of Object.values(folders)) {
    await mkdir(path, { mode: 0o700 });
    if (owner.uid !== null) await chown(path, owner.uid, owner.uid);
  }
  return { folder, folders };
}

/** Gives what the builder wrote into checkout and home to the build's user. Links themselves, never their targets. */
export async function giveToBuild(workspace: Workspace, owner: WorkspaceOwner): Promise<void> {
  if (owner.uid === null) return;
  const args = [
    "-R",
    "--no-dereference",
    `${owner.uid}:${owner.uid}`,
    "--",
    workspace.folders.source,
    workspace.folders.home,
  ];
  await must("chown", args, owner.searchPath);
}

/** Removes a tree whatever modes and depths a build left in it. */
export async function removeTree(folder: string, searchPath: string): Promise<void> {
  const environment = { PATH: searchPath, LC_ALL: "C" };
  const options = { environment, timeoutMs: checkoutMsMax };
  const end = await runProgram("rm", ["-rf", "--", folder], options);
  if (end.exitCode === 0) return;
  await runProgram("chmod", ["-R", "u+rwX", "--", folder], options);
  await must("rm", ["-rf", "--", folder], searchPath);
}

/** Removes every attempt's folder that is still there. */
export async function removeLeftovers(parent: string, searchPath: string): Promise<number> {
  const names = await readdir(parent);
  for (const name of names) await removeTree(join(parent, name), searchPath);
  return names.length;
}

async function must(program: string, args: readonly string[], searchPath: string): Promise<void> {
  const environment = { PATH: searchPath, LC_ALL: "C" };
  const end = await runProgram(program, args, { environment, timeoutMs: checkoutMsMax });
  if (end.exitCode === 0) return;
  const said = end.stderr.trim().slice(0, 300);
  throw new ShoalError("workspace_failed", `${program} failed: ${end.type} ${said}`, {
    blame: "environment",
    retryable: true,
  });
}
