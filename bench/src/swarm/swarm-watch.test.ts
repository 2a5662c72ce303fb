import { appendFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { boundMs } from "../lan/spread.ts";
import { EventTail } from "./event-tail.ts";
import type { FleetHost } from "./swarm-fleet.ts";
import { SwarmWatch } from "./swarm-watch.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shoal-watch-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const write = (text: string): Promise<void> => appendFile(join(dir, "swarm-events.jsonl"), text);
const line = (second: number, event: object): string =>
  `${JSON.stringify({ time: new Date(second * 1000).toISOString(), artifact: "a", ...event })}\n`;

function watchOne(): SwarmWatch {
  const host = { name: "host-1", events: new EventTail(dir) } as unknown as FleetHost;
  return new SwarmWatch([host], "a");
}

test("a host is seen from its joining to its end, by its own file", async () => {
  const watch = watchOne();
  await watch.look();
  expect(watch.share).toBe(0);
  await write(line(1, { type: "joined", piecesCount: 4 }));
  await write(line(2, { type: "pieceStored", piece: 3 }));
  await write(line(2, { type: "pieceStored", piece: 3, artifact: "another" }).slice(0, 30));
  await watch.look();
  expect([watch.share, watch.piecesOut, watch.doneCount]).toEqual([1 / 4, 1, 0]);
  await write(line(2, { type: "pieceStored", piece: 2, artifact: "another" }).slice(30));
  await write(line(5, { type: "completed" }));
  await watch.look();
  expect(watch.hosts[0]).toMatchObject({ joinedAt: 1000, completedAt: 5000 });
  expect(watch.piecesOut).toBe(1);
});

test("the line that a killed agent left half written is passed over", async () => {
  const watch = watchOne();
  await write(line(1, { type: "joined", piecesCount: 4 }));
  await write('{"time":"2026\n');
  await write(line(3, { type: "completed" }));
  await watch.look();
  expect(watch.doneCount).toBe(1);
});

test("the bound is one transfer, and one more piece for each doubling of the hosts", () => {
  expect(boundMs(1e6, 8, 1, 10)).toBe(1000);
  expect(boundMs(1e6, 8, 12, 10)).toBe(1300);
});
