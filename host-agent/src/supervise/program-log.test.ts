import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { testFolder } from "../test-folder.test-kit.ts";
import { boundProgramLog, lastLogLine, openProgramLog } from "./program-log.ts";

test("a log that has grown too large keeps its newest part aside, and its writer goes on", async () => {
  const path = join(await testFolder(), "log", "program.log");
  const writer = await openProgramLog(path);
  await writer.write(`${"old ".repeat(100)}\n${"new ".repeat(100)}\n`);
  await boundProgramLog(path, 401);
  expect(await readFile(`${path}.1`, "utf8")).toBe(`${"new ".repeat(100)}\n`);
  await writer.write("after\n");
  await writer.close();
  // Appended at the start again: no hole where the old part was.
  expect(await readFile(path, "utf8")).toBe("after\n");
});

test("a log within its bound is left alone, and so is one that isn't there", async () => {
  const path = join(await testFolder(), "program.log");
  await boundProgramLog(path, 10);
  await writeFile(path, "0123456789");
  await boundProgramLog(path, 10);
  expect((await stat(path)).size).toBe(10);
  await expect(stat(`${path}.1`)).rejects.toThrow("ENOENT");
});

test.for([
  ["nothing", "", ""],
  ["one line", "only\n", "only"],
  ["empty lines at the end", "first\nlast \n\n  \n", "last"],
  ["no newline at the end", "first\nla", "la"],
  ["a line longer than what is read", "x".repeat(10_000), "x".repeat(4096)],
] as const)("the last line that says something, of %s", async ([, text, line]) => {
  const path = join(await testFolder(), "program.log");
  await writeFile(path, text);
  expect(await lastLogLine(path)).toBe(line);
});
