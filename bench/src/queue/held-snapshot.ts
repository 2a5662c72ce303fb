// The rate of claims while somebody holds a snapshot open, beside the rate before.
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startPostgres } from "@shoal/postgres/server";
import { type Measured, rounded } from "../result.ts";
import { makeKeys, startControlPlane } from "./control-planes.ts";
import { createDatabase, fillBuilds, holdSnapshot } from "./database.ts";
import { HttpBuilder } from "./http-builders.ts";
import { enrollBuilder, prepareFleet } from "./http-rate.ts";
import { Ledger } from "./ledger.ts";
import { type QueueOptions, quiet } from "./options.ts";

const warmMs = 10_000;
const windowMs = 30_000;

/** Builders work throughout; the last half minute of the hold counts, when most dead rows are there. */
export async function measureHeldSnapshot(dir: string, options: QueueOptions): Promise<Measured> {
  const heldMs = (options.snapshot ?? 300) * 1000;
  const postgres = await startPostgres({ dir: join(dir, "postgres"), log: quiet });
  const stop = new AbortController();
  try {
    const keys = await makeKeys(join(dir, "keys"));
    const databaseUrl = await createDatabase(postgres.url, "held");
    const plane = await startControlPlane(join(dir, "plane"), keys, databaseUrl, 0);
    try {
      await prepareFleet(plane.admin, plane.url);
      // More than can be built in the time, filled at once: a table with a long queue.
      await fillBuilds(databaseUrl, 0, Math.ceil((heldMs + warmMs + windowMs) * 0.6));
      const ledger = new Ledger();
      const running: Promise<void>[] = [];
      for (let index = 0; index < options.builders; index += 1) {
        const name = `builder-${index}`;
        const token = await enrollBuilder(plane.admin, plane.url, name);
        const urls = (): readonly string[] => [plane.url];
        const { signal } = stop;
        const given = { name, token, urls, key: keys.builder, ledger, signal };
        running.push(new HttpBuilder(given).run());
      }
      await sleep(warmMs + windowMs);
      const before = ledger.rateOver(windowMs);
      process.stderr.write(`${before.toFixed(0)} builds a second; holding a snapshot\n`);
      const release = await holdSnapshot(databaseUrl);
      const rates: number[] = [];
      for (let passedMs = 0; passedMs < heldMs; passedMs += windowMs) {
        await sleep(Math.min(windowMs, heldMs - passedMs));
        rates.push(rounded(ledger.rateOver(Math.min(windowMs, heldMs - passedMs))));
        process.stderr.write(`  ${rates.at(-1)} a second\n`);
      }
      await release();
      stop.abort();
      await Promise.all(running);
      const held = rates.at(-1) ?? 0;
      return {
        settings: { ...options },
        runs: [{ before, rates }],
        figures: {
          beforePerSecond: rounded(before),
          heldPerSecond: held,
          heldShare: rounded(held / before),
          endedTwice: ledger.endedTwice(),
        },
      };
    } finally {
      await plane.kill();
    }
  } finally {
    stop.abort();
    await postgres.stop();
  }
}
