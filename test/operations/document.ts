// Reads the commands out of docs/OPERATIONS.md: the fenced blocks whose first line names a machine, as
// in "```sh control". Other blocks (a unit file, an installation) are for people.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

export interface Block {
  readonly machine: string;
  readonly commands: string;
  /** Where it begins in the document, counted from 1. */
  readonly line: number;
}

const documentPath = fileURLToPath(new URL("../../docs/OPERATIONS.md", import.meta.url));
const openPattern = /^```sh (?<machine>[a-z]+)$/;

export async function readBlocks(): Promise<readonly Block[]> {
  const lines = (await readFile(documentPath, "utf8")).split("\n");
  const blocks: Block[] = [];
  for (let index = 0; index < lines.length; index += 1) {
    const groups = openPattern.exec(lines[index] ?? "")?.groups;
    if (groups === undefined) continue;
    const end = lines.indexOf("```", index + 1);
    if (end < 0) throw new Error(`OPERATIONS.md line ${index + 1}: a block without an end`);
    blocks.push({
      machine: groups["machine"] ?? "",
      commands: lines.slice(index + 1, end).join("\n"),
      line: index + 1,
    });
    index = end;
  }
  return blocks;
}

/** Name and address of each machine, from the document's table. */
export async function readMachines(): Promise<ReadonlyMap<string, string>> {
  const rows = (await readFile(documentPath, "utf8")).matchAll(
    /^\| `(?<name>[a-z]+)` \| (?<address>[0-9.]+) \|/gm,
  );
  return new Map(
    [...rows].map(({ groups }) => [groups?.["name"] ?? "", groups?.["address"] ?? ""]),
  );
}

/** Everything that stands in backticks. */
export async function readWords(): Promise<ReadonlySet<string>> {
  const words = (await readFile(documentPath, "utf8")).matchAll(/`([^`\n]+)`/g);
  return new Set([...words].map(([, word = ""]) => word));
}
