// Finds the report files that a test stage left: regular files below the checkout, reached without any
// link, written since the stage began, under limits of how much is looked at.
import { lstat, opendir } from "node:fs/promises";
import { join, matchesGlob } from "node:path";
import { ShoalError } from "@shoal/core/error";
import {
  testReportDepthMax,
  testReportEntriesMax,
  testReportFileBytesMax,
  testReportFilesMax,
  testReportsBytesMax,
} from "@shoal/core/limits";

/** Names that test runners and coverage tools give their reports. */
export const usualReports: readonly string[] = [
  "**/junit*.xml",
  "**/*junit.xml",
  "**/TEST-*.xml",
  "**/*cobertura*.xml",
  "**/coverage.xml",
  "**/lcov.info",
  "**/*.lcov",
];

/** Folders in which others keep theirs. */
const passedOver = new Set([".git", "node_modules"]);

export interface FoundReport {
  /** Relative to the checkout. */
  readonly path: string;
  /** Why it isn't read; null when it may be. */
  readonly problem: string | null;
}

export interface ReportSearch {
  readonly folder: string;
  /** Empty: the usual names. */
  readonly patterns: readonly string[];
  /** Older files were there before. */
  readonly sinceMs: number;
}

/**
 * In order of their paths. Nothing of the build may run any more.
 * @throws ShoalError `reports_not_found` when the checkout has too many files to look through.
 */
export async function findReports(search: ReportSearch): Promise<FoundReport[]> {
  const patterns = search.patterns.length === 0 ? usualReports : search.patterns;
  const paths: string[] = [];
  await walk(search.folder, patterns, paths);
  const found: FoundReport[] = [];
  let bytesLeft = testReportsBytesMax;
  for (const path of paths.toSorted()) {
    const { size, mtimeMs } = await lstat(join(search.folder, path));
    if (mtimeMs < Math.floor(search.sinceMs / 1000) * 1000) continue;
    if (found.length >= testReportFilesMax) break;
    const tooLarge = size > testReportFileBytesMax || size > bytesLeft;
    if (!tooLarge) bytesLeft -= size;
    found.push({ path, problem: tooLarge ? `it is too large, with ${size} bytes` : null });
  }
  return found;
}

async function walk(root: string, patterns: readonly string[], paths: string[]): Promise<void> {
  const folders: { readonly path: string; readonly depth: number }[] = [{ path: "", depth: 0 }];
  let entries = 0;
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for await (const entry of await opendir(join(root, folder.path))) {
      entries += 1;
      if (entries > testReportEntriesMax) throw tooMany();
      const path = join(folder.path, entry.name);
      if (entry.isDirectory() && !passedOver.has(entry.name) && folder.depth < testReportDepthMax) {
        folders.push({ path, depth: folder.depth + 1 });
      }
      if (entry.isFile() && patterns.some((pattern) => matchesGlob(path, pattern)))
        paths.push(path);
    }
  }
}

function tooMany(): ShoalError {
  const message = `The checkout has more than ${testReportEntriesMax} files: reports weren't looked for.`;
  return new ShoalError("reports_not_found", message, { blame: "remote" });
}
