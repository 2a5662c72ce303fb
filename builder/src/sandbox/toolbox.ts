// What a build finds on the machine: our own Node first on its PATH, the machine's programs and
// libraries, and a few files of /etc. Our Node may lie where the build's user can't go (/root, a home
// folder), so that it is linked or copied into a folder of ours once.
import { constants } from "node:fs";
import { chmod, copyFile, link, lstat, mkdir, readlink, rename, rm, stat } from "node:fs/promises";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Mount } from "./launch.ts";

/** Files of /etc that programs need and that tell nothing about the machine. */
const etcPaths = [
  "alternatives",
  "ld.so.cache",
  "ld.so.conf",
  "ld.so.conf.d",
  "ssl/certs",
  "pki/tls/certs",
];
/** Beside /usr: links into it on merged systems, folders on others; /nix is where NixOS keeps everything. */
const systemFolders = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store"];

const etcFiles = {
  passwd: "root:x:0:0:root:/root:/bin/sh\nbuild:x:1000:1000:build:/home/build:/bin/sh\n",
  group: "root:x:0:\nbuild:x:1000:\n",
  hosts: "127.0.0.1 localhost build\n::1 localhost\n",
  "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
};

/** Fills the folder with `bin/node`, `relay.mts` and `etc/…`; what is there from an earlier life is replaced. */
export async function fillToolbox(folder: string, nodePath: string): Promise<void> {
  await mkdir(join(folder, "bin"), { recursive: true });
  await mkdir(join(folder, "etc"), { recursive: true });
  for (const path of [folder, join(folder, "bin"), join(folder, "etc")]) await chmod(path, 0o755);
  for (const [name, text] of Object.entries(etcFiles)) {
    await writeFile(join(folder, "etc", name), text);
    await chmod(join(folder, "etc", name), 0o644);
  }
  const relay = join(folder, "relay.mts");
  await copyFile(new URL("../relay/main.ts", import.meta.url), relay);
  await chmod(relay, 0o644);
  await placeNode(nodePath, join(folder, "bin", "node"));
}

async function placeNode(from: string, to: string): Promise<void> {
  const temporary = `${to}.new`;
  await rm(temporary, { force: true });
  if (!(await linkForAll(from, temporary))) {
    await copyFile(from, temporary, constants.COPYFILE_FICLONE);
    await chmod(temporary, 0o755);
  }
  await rename(temporary, to);
}

/** False where a copy is needed: another file system, protected hard links, or a file that isn't for all. */
async function linkForAll(from: string, to: string): Promise<boolean> {
  const forAll = 0o005;
  if (((await stat(from)).mode & forAll) !== forAll) return false;
  return link(from, to).then(
    () => true,
    () => false,
  );
}

/** What of the machine a sandbox shows; `extra` are folders that the operator adds, such as /opt. */
export async function systemMounts(
  toolbox: string,
  extra: readonly string[],
): Promise<readonly Mount[]> {
  const mounts: Mount[] = [{ type: "bind", from: "/usr", at: "/usr" }];
  for (const path of systemFolders) {
    const found = await lstat(path).catch(() => undefined);
    if (found?.isSymbolicLink() === true) {
      mounts.push({ type: "link", target: await readlink(path), at: path });
    } else if (found?.isDirectory() === true) mounts.push({ type: "bind", from: path, at: path });
  }
  for (const name of etcPaths) {
    const path = join("/etc", name);
    if ((await stat(path).catch(() => undefined)) !== undefined) {
      mounts.push({ type: "bind", from: path, at: path });
    }
  }
  for (const name of Object.keys(etcFiles)) {
    mounts.push({ type: "bind", from: join(toolbox, "etc", name), at: join("/etc", name) });
  }
  for (const path of extra) mounts.push({ type: "bind", from: path, at: path });
  return mounts;
}
