// Reads the repository as git sees it: tracked files and new ones that aren't ignored, as they are on
// disk. Nothing else may decide what belongs to the repository.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { TrackedFile } from "./tracked-file.ts";

/** The folder with the root package.json. */
export const repositoryRoot = join(import.meta.dirname, "../..");

const listingBytesMax = 64 * 1024 * 1024;

/** Paths of all files, sorted. Throws when git can't say. */
export function listFiles(): readonly string[] {
  // The clone may belong to another user (a container that runs as root): listing is harmless then.
  const command =
    "-c safe.directory=* ls-files -z --cached --others --exclude-standard --deduplicate";
  const listing = execFileSync("git", command.split(" "), {
    cwd: repositoryRoot,
    encoding: "utf8",
    maxBuffer: listingBytesMax,
  });
  return listing
    .split("\0")
    .filter((path) => path !== "" && existsSync(join(repositoryRoot, path)))
    .filter((path) => statSync(join(repositoryRoot, path)).isFile())
    .toSorted();
}

/** All files with their content. */
export function readRepository(): readonly TrackedFile[] {
  return listFiles().map((path) => new TrackedFile(path, readFileSync(join(repositoryRoot, path))));
}
