// The import rule: who may import whom. The table is the rule; docs/ARCHITECTURE.md says why.
import { posix } from "node:path";
import type { Finding, Rule } from "../rule.ts";
import { isSource, type TrackedFile } from "../tracked-file.ts";

const libraries = ["lib/api", "lib/daemon", "lib/peer", "lib/postgres", "lib/store", "lib/trust"];
const coreAndLibraries = ["core", ...libraries];

/** For each room (workspace), the rooms it may import from. */
export const roomsImportedBy: Readonly<Record<string, readonly string[]>> = {
  core: [],
  "lib/api": ["core"],
  "lib/daemon": ["core"],
  "lib/postgres": ["core"],
  "lib/store": ["core", "lib/api"],
  "lib/trust": ["core", "lib/api"],
  "lib/peer": ["core", "lib/api", "lib/store", "lib/daemon", "lib/trust"],
  "control-plane": coreAndLibraries,
  builder: coreAndLibraries,
  seeder: coreAndLibraries,
  "host-agent": coreAndLibraries,
  cli: coreAndLibraries,
  bench: coreAndLibraries,
  test: coreAndLibraries,
};

/** The room a file lies in; undefined for files at the root. */
export function roomOf(path: string): string | undefined {
  return Object.keys(roomsImportedBy).find((room) => path.startsWith(`${room}/`));
}

/** The room that `@shoal/<name>/…` names. */
function roomNamed(specifier: string): string | undefined {
  const name = specifier.split("/")[1];
  return Object.keys(roomsImportedBy).find((room) => room === name || room === `lib/${name}`);
}

export const rooms: Rule = {
  name: "rooms import only what they may",
  reads: (path) => isSource(path) && path.includes("/"),
  find: (files) => [...files.flatMap(findInFile), ...unseenRooms(files)],
};

function findInFile(file: TrackedFile): Finding[] {
  const room = roomOf(file.path);
  if (room === undefined) return [{ path: file.path, line: 1, message: "lies in no known room" }];
  const findings: Finding[] = [];
  for (const { specifier, line } of file.imports()) {
    const message = objection(room, file.path, specifier);
    if (message !== undefined) findings.push({ path: file.path, line, message });
  }
  return findings;
}

function objection(room: string, path: string, specifier: string): string | undefined {
  if (/(^|\/)main(\.ts)?$/.test(specifier)) return `${specifier}: a main.ts is imported by nobody`;
  if (specifier.startsWith(".")) {
    const target = posix.join(posix.dirname(path), specifier);
    if (roomOf(target) !== room) return `${specifier} leaves the room ${room}`;
    if (!/\.(ts|json)$/.test(specifier)) return `${specifier}: a path says its .ts`;
    return undefined;
  }
  if (!specifier.startsWith("@shoal/")) return undefined;
  const target = roomNamed(specifier);
  if (target === undefined) return `${specifier} names no room`;
  if (target === room) return `${specifier}: inside a room, imports are relative`;
  if (roomsImportedBy[room]?.includes(target) === true) return undefined;
  return `${room} may not import from ${target}`;
}

/** Each room must have been looked at: a folder that moved would otherwise be free of rules. */
function unseenRooms(files: readonly TrackedFile[]): Finding[] {
  const seen = new Set(files.map((file) => roomOf(file.path)));
  return Object.keys(roomsImportedBy)
    .filter((room) => !seen.has(room))
    .map((room) => ({ path: room, line: 0, message: "no source file was seen in this room" }));
}
