// What lies in a file or a folder on disk, as entries of a manifest. The same tree gives the same
// entries on every machine: sorted by path, of modes only the nine rwx bits, no times, owners or
// extended attributes (file capabilities go with them), hard links as separate files. What a manifest
// can't or mustn't hold is refused by name: devices, sockets, fifos, setuid, setgid and sticky bits,
// names that aren't UTF-8, links that leave the tree. Opens no file; tree-reader.ts does.
import type { Stats } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Manifest, ManifestEntry } from "@shoal/core/content/manifest";
import { comparePaths, pathProblem, quote, targetProblem } from "@shoal/core/content/path-safety";
import { ShoalError } from "@shoal/core/error";
import { artifactBytesMax, artifactEntriesMax } from "@shoal/core/limits";
import type { Bytes, Millis } from "@shoal/core/units";
import { errorCode } from "./durable-file.ts";

/** A tree as it was found, before its bytes are read. */
export interface TreeScan {
  readonly kind: Manifest["kind"];
  readonly entries: readonly ManifestEntry[];
  /** When each entry was changed last, in their order. */
  readonly mtimesMs: Float64Array;
  /** Sum of the files' sizes. */
  readonly bytes: Bytes;
}

interface Found {
  readonly entry: ManifestEntry;
  readonly mtimeMs: Millis;
}

/** Entries of one folder that are looked at at once. */
const lookupsMax = 32;
const permissionBits = 0o777;
const specialBits = 0o7000;

/**
 * Looks at a tree without following links; `root` itself mustn't be one. Throws `tree_refused` for
 * what can't be an artifact, `tree_missing` when there is nothing.
 */
export async function scanTree(root: string): Promise<TreeScan> {
  const found = await lstat(root).catch((cause: unknown) => {
    if (errorCode(cause) !== "ENOENT" && errorCode(cause) !== "ENOTDIR") throw cause;
    throw new ShoalError("tree_missing", `nothing at ${quote(root)}`, { blame: "remote", cause });
  });
  if (found.isFile()) {
    const mtimesMs = Float64Array.of(found.mtimeMs);
    const entries = [entryOf(basename(root), found)];
    return { kind: "file", entries, mtimesMs, bytes: checkBytes(found.size) };
  }
  if (!found.isDirectory()) throw refused(root, "is neither a file nor a folder");
  const all: Found[] = [];
  let bytes = 0;
  // Folders that are still to be read, as paths from the root that end with a slash.
  const folders = [""];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for await (const one of readFolder(root, folder)) {
      const { entry } = one;
      all.push(one);
      if (all.length > artifactEntriesMax) {
        throw refused(root, `has more than ${artifactEntriesMax} entries`);
      }
      if (entry.type === "directory") folders.push(`${entry.path}/`);
      if (entry.type === "file") bytes = checkBytes(bytes + entry.bytes);
    }
  }
  all.sort((a, b) => comparePaths(a.entry.path, b.entry.path));
  return {
    kind: "tree",
    entries: all.map(({ entry }) => entry),
    mtimesMs: Float64Array.from(all, ({ mtimeMs }) => mtimeMs),
    bytes,
  };
}

async function* readFolder(root: string, folder: string): AsyncGenerator<Found> {
  const names = await readdir(join(root, folder), { encoding: "buffer" });
  for (let first = 0; first < names.length; first += lookupsMax) {
    yield* await Promise.all(
      names.slice(first, first + lookupsMax).map((name) => lookAt(root, folder, name)),
    );
  }
}

async function lookAt(root: string, folder: string, name: Uint8Array): Promise<Found> {
  const path = folder + decodeName(folder, name);
  const full = join(root, path);
  const found = await lstat(full);
  const { mtimeMs } = found;
  if (!found.isSymbolicLink()) return { entry: entryOf(path, found), mtimeMs };
  const problem = pathProblem(path);
  if (problem !== undefined) throw refused(path, problem);
  const target = decodeName(path, await readlink(full, { encoding: "buffer" }));
  const wrong = targetProblem(path, target);
  if (wrong !== undefined) {
    throw refused(
      path,
      `is a link to ${quote(target)}, which ${wrong}`,
      "Make it a relative link inside the tree, or a copy.",
    );
  }
  return { entry: { type: "link", path, target }, mtimeMs };
}

function entryOf(path: string, found: Stats): ManifestEntry {
  const problem = pathProblem(path);
  if (problem !== undefined) throw refused(path, problem);
  if ((found.mode & specialBits) !== 0)
    throw refused(
      path,
      "has a setuid, setgid or sticky bit",
      "chmod a-s,-t it at the end of the build.",
    );
  const mode = found.mode & permissionBits;
  if (found.isDirectory()) return { type: "directory", path, mode };
  if (found.isFile()) return { type: "file", path, mode, bytes: found.size };
  throw refused(path, `is ${nameKind(found)}`);
}

function decodeName(where: string, name: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(name);
  } catch {
    throw refused(`${where}${Buffer.from(name).toString("latin1")}`, "isn't UTF-8");
  }
}

function nameKind(found: Stats): string {
  if (found.isSocket()) return "a socket";
  if (found.isFIFO()) return "a fifo";
  return found.isBlockDevice() || found.isCharacterDevice() ? "a device" : "of an unknown kind";
}

function checkBytes(bytes: Bytes): Bytes {
  if (bytes <= artifactBytesMax) return bytes;
  throw new ShoalError("tree_refused", `artifact refused: larger than ${artifactBytesMax} bytes`, {
    blame: "remote",
  });
}

function refused(path: string, problem: string, hint?: string): ShoalError {
  return new ShoalError("tree_refused", `artifact refused: ${quote(path)} ${problem}`, {
    blame: "remote",
    details: { path },
    hint,
  });
}
