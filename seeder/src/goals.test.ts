import { StateFile } from "@shoal/daemon/atomic-file";
import { createKey } from "@shoal/trust/key-file";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startMs, TestFleet } from "./fleet.test-kit.ts";
import { Goals } from "./goals.ts";
import { silentLog, stopAll, temporaryFolder, type Stops } from "./seeder.test-kit.ts";

const stops: Stops = [];
const fleet = new TestFleet();
let path: string;
beforeEach(async () => {
  path = join(await temporaryFolder(stops), "goals.json");
});
afterEach(() => stopAll(stops));

async function open(file = path, nowMs = startMs): Promise<Goals> {
  const goals = new Goals({
    file: new StateFile(file, 100_000),
    trust: () => fleet.trust,
    now: () => nowMs,
    region: () => "north",
    log: silentLog(),
  });
  await goals.load();
  return goals;
}

function orders(goals: Goals): (readonly [string, number, number])[] {
  return goals
    .goals()
    .map(({ goal }) => [goal.service, goal.epoch, goal.generation] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
}

test("a newer goal takes the place of an older one, by epoch first", async () => {
  const goals = await open();
  expect(await goals.apply([fleet.goal({ generation: 9 })])).toBe(true);
  expect(await goals.apply([fleet.goal({ epoch: 2, generation: 1 })])).toBe(true);
  expect(await goals.apply([fleet.goal({ epoch: 1, generation: 10 })])).toBe(false);
  expect(orders(goals)).toEqual([["web", 2, 1]]);
  expect(goals.epochMax()).toBe(2);
});

test("another goal of the same order is refused, the same words under a new signature are taken", async () => {
  const goals = await open();
  await goals.apply([fleet.goal()]);
  expect(await goals.apply([fleet.goal()])).toBe(false);
  expect(await goals.apply([fleet.goal({ salt: "another" })])).toBe(false);
  const [first] = goals.goals();
  expect(first?.goal.salt).toBe("salt");
});

test("a goal that is forged, malformed or of another region or environment leaves the others alone", async () => {
  const goals = await open();
  const given = [
    fleet.goal({ service: "forged" }, createKey()),
    fleet.goal({ service: "builder" }, fleet.builder),
    fleet.goal({ service: "south", region: "south" }),
    fleet.goal({ service: "testing", environment: "testing" }),
    { ...fleet.goal({ service: "broken" }), payload: "AAAA" },
    fleet.goal({ service: "good" }),
  ];
  expect(await goals.apply(given)).toBe(true);
  expect(orders(goals)).toEqual([["good", 1, 1]]);
});

test("goals are there again after a restart, and still newer than what was before them", async () => {
  await (await open()).apply([fleet.goal({ generation: 5 }), fleet.goal({ service: "api" })]);
  const goals = await open();
  expect(orders(goals)).toEqual([
    ["api", 1, 1],
    ["web", 1, 5],
  ]);
  expect(await goals.apply([fleet.goal({ generation: 4 })])).toBe(false);
});

test("a file that somebody wrote goals into says nothing by itself", async () => {
  await (await open()).apply([fleet.goal()]);
  const content = JSON.parse(await readFile(path, "utf8"));
  content.goals[0] = fleet.goal({ generation: 7 }, createKey());
  await writeFile(path, JSON.stringify(content));
  expect(orders(await open())).toEqual([]);
  await writeFile(path, "{");
  expect(orders(await open())).toEqual([]);
});

test("goals that couldn't be saved are kept, and saved with the next call", async () => {
  const folder = await temporaryFolder(stops);
  const file = join(folder, "missing", "goals.json");
  const goals = await open(file);
  await expect(goals.apply([fleet.goal()])).rejects.toThrow("ENOENT");
  expect(orders(goals)).toEqual([["web", 1, 1]]);
  await mkdir(join(folder, "missing"));
  expect(await goals.apply([fleet.goal()])).toBe(false);
  expect(orders(await open(file))).toEqual([["web", 1, 1]]);
});

test("after a reboot with an expired trust document the goals on disk still count, and no newer ones", async () => {
  await (await open()).apply([fleet.goal()]);
  const goals = await open(path, Date.parse(fleet.trust.expires) + 60_000);
  expect(orders(goals)).toEqual([["web", 1, 1]]);
  expect(await goals.apply([fleet.goal({ generation: 2 })])).toBe(false);
});
