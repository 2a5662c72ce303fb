// Documents name files that exist. A path in backticks that begins with a room or a folder of the root
// is a promise; one with a star or an ellipsis isn't.
import type { Finding, Rule } from "../rule.ts";
import type { TrackedFile } from "../tracked-file.ts";
import { roomsImportedBy } from "./rooms.ts";

const rootFolders = [...Object.keys(roomsImportedBy), "docs", "examples", ".ci"];

export const documents: Rule = {
  name: "documents name files that exist",
  reads: () => true,
  find: (files) => {
    const paths = files.map((file) => file.path);
    const known = new Set(paths.flatMap(withFolders));
    return files.filter(({ path }) => path.endsWith(".md")).flatMap((file) => lost(file, known));
  },
};

/** A path and every folder on its way, folders without the slash at the end. */
function withFolders(path: string): readonly string[] {
  const parts = path.split("/");
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}

function lost(file: TrackedFile, known: ReadonlySet<string>): Finding[] {
  return file.lines.flatMap((text, index) =>
    Array.from(text.matchAll(/`([\w./-]+\/[\w./-]*)`/g), ([, path]) => path ?? "")
      .filter((path) => rootFolders.some((folder) => path.startsWith(`${folder}/`)))
      .map((path) => path.replace(/\/$/, ""))
      .filter((path) => !known.has(path) && !known.has(`${path}.ts`))
      .map((path) => ({ path: file.path, line: index + 1, message: `${path} doesn't exist` })),
  );
}
