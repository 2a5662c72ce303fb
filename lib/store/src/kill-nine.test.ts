import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { Prng } from "@shoal/core/prng";
import { openChunkStore } from "./chunk-store.ts";
import { openDirectoryBlobs } from "./directory-blobs.ts";
import { namedIn, victimArtifact } from "./kill-victim.ts";
import { openReleaseFiles, removeReleaseFiles } from "./release-files.ts";
import { readReleaseManifest } from "./release-records.ts";

const base = mkdtempSync(join(tmpdir(), "shoal-kill-"));
afterAll(() => removeReleaseFiles(base));

/** SHOAL_FAULT_RUNS=200: as many kills as say something about rare moments. */
const runs = Number(process.env["SHOAL_FAULT_RUNS"] ?? "2");
const [roundsMin, roundsMax] = [runs, Math.max(runs, 40)];

test(
  "a process that is killed at any moment leaves everything that it had finished",
  async () => {
    const script = join(import.meta.dirname, "kill-victim.ts");
    const prng = new Prng(process.pid);
    let publishedMost = 0;
    // Until it got far enough to collect and to reuse, too; each round goes on where the last one ended.
    for (
      let round = 0;
      round < roundsMax && (round < roundsMin || publishedMost <= 8);
      round += 1
    ) {
      const victim = spawn(process.execPath, [script], {
        cwd: base,
        stdio: ["ignore", "pipe", "inherit"],
      });
      const ended = once(victim, "exit");
      await once(victim.stdout, "data");
      // Longer and longer: a slow machine gets somewhere, too.
      await setTimeout(prng.below(400 + 50 * Math.min(round, 40)));
      victim.kill("SIGKILL");
      expect(await ended).toEqual([null, "SIGKILL"]);
      const named = namedIn(readFileSync(join(base, "notes"), "utf8"));
      publishedMost = Math.max(publishedMost, ...named);
      const store = await openChunkStore(await openDirectoryBlobs(join(base, "blobs")));
      expect(store.damagedPacks).toEqual([]);
      for (const label of named) {
        const { chunks, manifest } = victimArtifact(label);
        for (const [index, chunk] of chunks.entries()) {
          const read = await store.read(manifest.chunkHashes.subarray(index * 32, index * 32 + 32));
          expect(Buffer.compare(read, chunk)).toBe(0);
        }
      }
      for (const name of ["release-0", "release-1", "release-2"]) {
        const dir = join(base, name);
        const known = await readReleaseManifest(dir);
        if (known === undefined) continue;
        const files = await openReleaseFiles(dir, known.manifest);
        expect(files.isSealed && !files.isComplete).toBe(false);
        expect(await files.verify()).toEqual({ problems: [], wrongChunks: [] });
        await files.close();
      }
    }
    expect(publishedMost).toBeGreaterThan(8);
    console.info(`killed at least ${roundsMin} times, ${publishedMost} artifacts published`);
  },
  40 * 60_000,
);
