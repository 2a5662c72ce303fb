// Text that must not be there when work is done. The patterns are written so that they don't match
// themselves.
import type { Finding, Rule } from "../rule.ts";
import { isSource, isTest, type TrackedFile } from "../tracked-file.ts";

export const looseEnds: Rule = {
  name: "no loose ends",
  reads: (path) => path !== "package-lock.json",
  find: (files) =>
    files.flatMap((file) => [
      ...linesWith(file, /\b(TO[D]O|FIX[M]E|XX[X])\b/, "finish it, or open an issue"),
      // The tools and folders of those who write Shoal are nobody's business here.
      ...linesWith(
        file,
        /(^|[\s"'`(=])\/work[/]|\.libra[r]y|shared[/]design|\bfar[m]-|\/tmp\/brie[f]/,
        "names somebody's own machine",
      ),
    ]),
};

export const focusedTests: Rule = {
  name: "no test keeps the others from running",
  reads: (path) => path.endsWith(".ts") && isTest(path),
  find: (files) =>
    files.flatMap((file) =>
      linesWith(file, /\b(test|it|describe)(\.\w+)*\.onl[y]\b/, "the others don't run"),
    ),
};

export const silencedChecks: Rule = {
  name: "who silences a check says why",
  reads: isSource,
  find: (files) =>
    files.flatMap((file) => [
      ...linesWith(file, /oxlint-disable(?!.* -- \S)/, "a reason belongs behind ` -- `"),
      ...linesWith(file, /@ts-(ignore|nocheck|expect-error(?! -- \S))/, "types are not silenced"),
    ]),
};

function linesWith(file: TrackedFile, pattern: RegExp, message: string): Finding[] {
  return file.lines.flatMap((text, index) => {
    const match = pattern.exec(text);
    if (match === null) return [];
    return [{ path: file.path, line: index + 1, message: `"${match[0].trim()}": ${message}` }];
  });
}
