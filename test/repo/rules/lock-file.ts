// The lock file names every package of every platform. `npm install` leaves out an optional package that
// its registry doesn't offer at that moment, and `npm ci` of npm 11 then refuses the whole file: on
// somebody else's machine, after the change was taken.
import { posix } from "node:path";
import type { Rule } from "../rule.ts";

interface LockFile {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

interface LockedPackage {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export const lockFile: Rule = {
  name: "the lock file is complete",
  reads: (path) => path === "package-lock.json",
  find: (files) =>
    files.flatMap(({ path, text }) =>
      missingPackages(JSON.parse(text ?? "{}") as LockFile).map((message) => ({
        path,
        line: 0,
        message,
      })),
    ),
};

function missingPackages({ packages }: LockFile): readonly string[] {
  return Object.entries(packages).flatMap(([place, { dependencies, optionalDependencies }]) =>
    Object.keys({ ...dependencies, ...optionalDependencies })
      .filter((name) => !isFound(packages, place, name))
      .map((name) => `${place === "" ? "the root" : place} needs ${name}, which is not locked`),
  );
}

/** As Node does: in the `node_modules` of the folder itself, and of each folder above it. */
function isFound(packages: LockFile["packages"], place: string, name: string): boolean {
  for (let folder = place; ; folder = posix.dirname(folder)) {
    if (folder === "." || folder === "") return `node_modules/${name}` in packages;
    if (`${folder}/node_modules/${name}` in packages) return true;
  }
}
