import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { pausesMax } from "@shoal/core/limits";
import { makeArtifact } from "./region.test-kit.ts";
import { isPauseCommand, runPause, type PauseCommand } from "./pause.ts";
import { followPauses, pausedArtifacts, readPauses, writePause } from "./pauses.ts";
import { eventually, silentLog, testFolder } from "./test-folder.test-kit.ts";

const [a, b, c] = [1, 2, 3].map((seed) => makeArtifact(seed, 2).cid) as [string, string, string];

async function run(dir: string, command: PauseCommand, ...argv: string[]) {
  const lines: string[] = [];
  const sources = { argv: [...argv, "--state-dir", dir], environment: {} };
  const status = await runPause(command, sources, (line) => lines.push(line));
  return { status, text: lines.join("\n") };
}

test("pauses artifacts and services, lists them, and lets them go on", async () => {
  const dir = await testFolder();
  expect(await run(dir, "pauses")).toEqual({ status: 0, text: "Nothing is paused here." });
  expect(await run(dir, "pause", a)).toMatchObject({ status: 0 });
  expect((await run(dir, "pause", "web")).text).toContain("production/web is paused");
  expect((await run(dir, "pause", "production/web")).text).toContain("paused already");
  expect((await run(dir, "pauses")).text.split("\n")).toEqual([a, "production/web"]);
  expect((await run(dir, "resume", a, "--json")).text).toBe(
    JSON.stringify({ target: a, paused: false, changed: true }),
  );
  expect((await run(dir, "resume", a)).text).toContain("wasn't paused");
  expect(await readPauses(dir)).toEqual(["production/web"]);
});

test.each([[""], ["../up"], ["a/b/c"], ["Web"], ["web,1"], ["/web"]])(
  "refuses %j, which is no artifact and no service",
  async (target) => {
    const dir = await testFolder();
    const { status, text } = await run(dir, "pause", target);
    expect(status).toBe(2);
    expect(text).toContain("no artifact and no service");
    expect(await readPauses(dir)).toEqual([]);
  },
);

test("takes no other command, and keeps the number of pauses bounded", async () => {
  expect(["pause", "resume", "pauses", "verify", undefined].map(isPauseCommand)).toEqual([
    ...[true, true, true, false, false],
  ]);
  const dir = await testFolder();
  await mkdir(join(dir, "paused"));
  await writeFile(join(dir, "paused", "no target"), "");
  for (let index = 0; index < pausesMax; index += 1) {
    await writePause(dir, `production/s${index}`, true);
  }
  const full = await run(dir, "pause", "one-more");
  expect(full).toMatchObject({ status: 2 });
  expect(full.text).toContain("are paused here");
  expect((await run(dir, "resume", "s7")).status).toBe(0);
  expect((await run(dir, "pause", "one-more")).status).toBe(0);
});

test("a paused service keeps back what no other service wants", () => {
  const web = { environment: "production", service: "web", artifacts: [a, b] };
  const job = { environment: "production", service: "job", artifacts: [b, c] };
  const paused = (...targets: string[]) => [...pausedArtifacts(targets, [web, job])].toSorted();
  expect(paused()).toEqual([]);
  expect(paused("production/web")).toEqual([a]);
  expect(paused("production/web", "production/job")).toEqual([a, b, c].toSorted());
  expect(paused(b)).toEqual([b]);
  expect(paused("staging/web")).toEqual([]);
});

test("tells of changes only", async () => {
  const dir = await testFolder();
  await writePause(dir, a, true);
  const told: (readonly string[])[] = [];
  const deps = { changed: (targets: readonly string[]) => void told.push(targets), log: silentLog };
  const loop = followPauses(deps, dir, [a]);
  await writePause(dir, b, true);
  await eventually(() => told.length > 0);
  await writePause(dir, a, false);
  await eventually(() => told.length > 1);
  await loop.stop();
  expect(told).toEqual([[a, b].toSorted(), [b]]);
});
