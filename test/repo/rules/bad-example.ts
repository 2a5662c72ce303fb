// For the tests of rules: what a rule says about files that are given as text.
import type { Rule } from "../rule.ts";
import { TrackedFile } from "../tracked-file.ts";

/** The findings as `path:line message`, for a map from paths to texts; unread files are left out. */
export function complaints(rule: Rule, texts: Readonly<Record<string, string>>): readonly string[] {
  const files = Object.entries(texts)
    .filter(([path]) => rule.reads(path))
    .map(([path, text]) => TrackedFile.ofText(path, text));
  return rule.find(files).map(({ path, line, message }) => `${path}:${line} ${message}`);
}
