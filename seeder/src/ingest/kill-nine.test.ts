// Seeder and builder are killed while artifacts are published over HTTPS and garbage is collected: what a
// builder was told to be held is held, every byte of it. SHOAL_FAULT_RUNS says how many kills.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Prng } from "@shoal/core/prng";
import type { TestFleet } from "../fleet.test-kit.ts";
import { connect, publishedIn, readNotes, victimArtifact, writeFleetKeys } from "./kill-victims.ts";

const killsCount = Number(process.env["SHOAL_FAULT_RUNS"] ?? "2");
const script = fileURLToPath(new URL("./victim/main.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "shoal-kill-ingest-"));
const running = new Set<ChildProcess>();
let fleet: TestFleet;

beforeAll(() => {
  fleet = writeFleetKeys(folder);
});
afterAll(async () => {
  for (const child of running) await kill(child);
  rmSync(folder, { recursive: true, force: true });
});

/** Answers the process and its first words. */
async function start(role: "seeder" | "builder"): Promise<[ChildProcess, string]> {
  const stdio: ["ignore", "pipe", "inherit"] = ["ignore", "pipe", "inherit"];
  const child = spawn(process.execPath, [script, role, folder], { stdio });
  running.add(child);
  const [said] = (await once(child.stdout, "data")) as [Buffer];
  return [child, said.toString().trim()];
}

async function startSeeder(): Promise<ChildProcess> {
  const [seeder, damaged] = await start("seeder");
  expect(damaged, "packs that can't be read").toBe("[]");
  return seeder;
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  expect(await ended).toEqual([null, "SIGKILL"]);
  running.delete(child);
}

/** Fetches all that was published as another region does; what is dropped meanwhile doesn't count. */
async function expectAllHeld(): Promise<number> {
  const published = publishedIn(readNotes(folder));
  const grant = await fleet.grant({ scope: "pull", regions: ["north"] });
  const { client, close } = await connect(folder, grant);
  try {
    for (const label of published) {
      const { cid, hashes, frames } = victimArtifact(label);
      try {
        const parts: Uint8Array[] = [];
        for await (const { bytes } of client.getChunks(cid, hashes)) parts.push(bytes);
        const whole = Buffer.concat(frames.map(({ bytes }) => bytes));
        expect(Buffer.concat(parts).equals(whole)).toBe(true);
      } catch (error) {
        if (publishedIn(readNotes(folder)).has(label)) throw error;
      }
    }
  } finally {
    await close();
  }
  return Math.max(0, ...published);
}

test(
  "nothing that was published is lost when seeder and builder are killed at any moment",
  async () => {
    const prng = new Prng(process.pid);
    let seeder = await startSeeder();
    let [builder] = await start("builder");
    let publishedMost = 0;
    for (let killed = 0; killed < killsCount; killed += 1) {
      await sleep(prng.below(600));
      if (killed % 2 === 0) {
        await kill(seeder);
        seeder = await startSeeder();
      } else {
        await kill(builder);
        [builder] = await start("builder");
      }
      publishedMost = Math.max(publishedMost, await expectAllHeld());
    }
    // It got somewhere, however slow the machine: else nothing was tried.
    for (const endAt = performance.now() + 60_000; publishedMost < 3; await sleep(100)) {
      publishedMost = await expectAllHeld();
      expect(performance.now()).toBeLessThan(endAt);
    }
    console.info(`killed ${killsCount} times, ${publishedMost} artifacts published`);
  },
  40 * 60_000,
);
