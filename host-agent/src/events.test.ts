import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eventLinesMax } from "@shoal/core/limits";
import type { SwarmLogEvent } from "@shoal/core/swarm/log-events";
import { createLog } from "@shoal/daemon/log";
import { EventFile, eventFileNames } from "./event-file.ts";
import { describeEvent, runEvents } from "./events.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shoal-events-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const deps = { now: () => Date.UTC(2026, 0, 2), log: createLog("test", "fatal") };
const opened: SwarmLogEvent = { type: "linkOpened", at: 5, peer: "12D3KooW" };

async function printed(...flags: readonly string[]): Promise<readonly string[]> {
  const lines: string[] = [];
  const sources = { argv: ["--state-dir", dir, ...flags], environment: {} };
  const over = AbortSignal.abort();
  expect(await runEvents(sources, (line) => lines.push(line), over)).toBe(0);
  return lines;
}

describe("events of the swarm on disk", () => {
  test("are read back in order, over several lives of the agent", async () => {
    for (const peer of ["a", "b", "c"]) {
      const file = await EventFile.open(deps, dir);
      file.add({ ...opened, peer });
      await file.close();
    }
    expect(await printed()).toEqual([
      "2026-01-02T00:00:00.000Z linkOpened       peer=a",
      "2026-01-02T00:00:00.000Z linkOpened       peer=b",
      "2026-01-02T00:00:00.000Z linkOpened       peer=c",
    ]);
    expect(await printed("--json")).toHaveLength(3);
  });

  test("count what the disk was too slow for, and go on", async () => {
    const file = await EventFile.open(deps, dir);
    for (let index = 0; index < eventLinesMax + 7; index += 1) file.add(opened);
    await file.close();
    const lines = await printed();
    expect(lines).toHaveLength(eventLinesMax + 1);
    expect(lines.at(-1)).toContain("events=7");
  });

  test("are read without the line that a crash left half written", async () => {
    const file = await EventFile.open(deps, dir);
    file.add(opened);
    await file.close();
    await appendFile(join(dir, eventFileNames.newest), '{"time":"2026');
    expect(await printed()).toHaveLength(1);
  });

  test("begin with the older file", async () => {
    const line = (peer: string): string => JSON.stringify({ time: "t", type: "linkOpened", peer });
    await writeFile(join(dir, eventFileNames.older), `${line("old")}\n`);
    await writeFile(join(dir, eventFileNames.newest), `${line("new")}\n`);
    expect(await printed("--json")).toEqual([line("old"), line("new")]);
  });

  test("that aren't events aren't shown", () => {
    expect(describeEvent("[]")).toBe("");
    expect(describeEvent("null")).toBe("");
  });
});
