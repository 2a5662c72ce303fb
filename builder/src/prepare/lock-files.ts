// Which files of a checkout a prepare's result depends on, and what is in them. The checkout is
// somebody else's: files are bounded, and a path that leads out of it is refused.
import { createReadStream } from "node:fs";
import { lstat, realpath } from "node:fs/promises";
import { isAbsolute, join, sep } from "node:path";
import { canonicalJson } from "@shoal/core/canonical-json";
import { StreamDigest, digest, toHex } from "@shoal/core/digest";
import { ShoalError } from "@shoal/core/error";
import { lockFileBytesMax } from "@shoal/core/limits";

/** Looked for at the top of the checkout when the project names none. */
const usualLockFiles = [
  "Cargo.lock",
  "go.sum",
  "package-lock.json",
  "pnpm-lock.yaml",
  "poetry.lock",
  "requirements.txt",
  "yarn.lock",
];

export interface LockFile {
  readonly path: string;
  /** BLAKE3 of its content, in hexadecimal. */
  readonly hash: string;
}

/**
 * The project's lock files, or the usual ones that are there; empty when there are none.
 * @throws ShoalError `lock_file_missing` for a named one that isn't there or isn't a file of the checkout.
 */
export async function readLockFiles(
  source: string,
  named: readonly string[],
): Promise<readonly LockFile[]> {
  const found: LockFile[] = [];
  for (const path of (named.length > 0 ? named : usualLockFiles).toSorted()) {
    const file = await findFile(source, path);
    if (file !== null) found.push({ path, hash: await hashFile(file) });
    else if (named.length > 0)
      throw missing(path, `isn't a file of up to ${lockFileBytesMax} bytes`);
  }
  return found;
}

/** Names a prepare's result: two that have the same facts are taken to be the same. */
export function preparedKey(facts: {
  readonly project: string;
  readonly command: string;
  readonly hosts: readonly string[];
  readonly lockFiles: readonly LockFile[];
  readonly node: string;
  readonly arch: string;
  readonly sandbox: string;
}): string {
  const text = canonicalJson({ ...facts, format: "shoal.prepared/1" });
  return toHex(digest(new TextEncoder().encode(text)));
}

async function findFile(source: string, path: string): Promise<string | null> {
  if (isAbsolute(path) || path.split("/").includes("..")) {
    throw missing(path, "must be a path within the checkout");
  }
  const full = join(source, path);
  const stats = await lstat(full).catch(() => undefined);
  if (stats?.isFile() !== true || stats.size > lockFileBytesMax) return null;
  // A folder on the way may be a link.
  return (await realpath(full)).startsWith(`${await realpath(source)}${sep}`) ? full : null;
}

async function hashFile(path: string): Promise<string> {
  const hasher = new StreamDigest();
  for await (const portion of createReadStream(path) as AsyncIterable<Buffer>) {
    hasher.update(portion);
  }
  return toHex(hasher.finish());
}

function missing(path: string, why: string): ShoalError {
  return new ShoalError("lock_file_missing", `The lock file ${JSON.stringify(path)} ${why}.`, {
    blame: "remote",
    hint: "Name lock files by their paths in the repository.",
  });
}
