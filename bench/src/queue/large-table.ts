// List, get and claim at a steady rate of requests while the table has very many builds.
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@shoal/api/client";
import { startPostgres } from "@shoal/postgres/server";
import { type Measured, rounded } from "../result.ts";
import { adminToken, makeKeys, startControlPlane } from "./control-planes.ts";
import { createDatabase, explainCalls, fillBuilds } from "./database.ts";
import { enrollBuilder, prepareFleet } from "./http-rate.ts";
import { leanFetch } from "./lean-fetch.ts";
import { quantile } from "./ledger.ts";
import { type QueueOptions, quiet } from "./options.ts";

const requestsPerSecond = 200;
const seconds = 30;
/** Of the same requests before, which aren't counted: a process that has just been started compiles its code. */
const warmSeconds = 5;

/** `rows` builds, nearly all of them ended; a third of the requests each list, get and claim. */
export async function measureLargeTable(dir: string, options: QueueOptions): Promise<Measured> {
  const rows = options.rows ?? 1_000_000;
  const postgres = await startPostgres({ dir: join(dir, "postgres"), log: quiet });
  try {
    const keys = await makeKeys(join(dir, "keys"));
    const databaseUrl = await createDatabase(postgres.url, "large");
    const plane = await startControlPlane(join(dir, "plane"), keys, databaseUrl, 0);
    try {
      await prepareFleet(plane.admin, plane.url);
      const claims = Math.ceil((requestsPerSecond * (warmSeconds + seconds)) / 3) + 100;
      process.stderr.write(`filling ${rows} builds\n`);
      await fillBuilds(databaseUrl, rows - claims, claims);
      const took = await request(plane.url, plane.admin, rows - claims);
      const plans = await explainCalls(databaseUrl);
      for (const [call, plan] of Object.entries(plans)) process.stderr.write(`${call}\n${plan}\n`);
      const figures: Record<string, number> = { rows, requestsPerSecond, failed: took.failed };
      for (const call of ["list", "get", "claim"] as const) {
        figures[`${call}MsP50`] = rounded(quantile(took[call], 0.5));
        figures[`${call}MsP99`] = rounded(quantile(took[call], 0.99));
      }
      return { settings: { ...options }, runs: [{ plans }], figures };
    } finally {
      await plane.kill();
    }
  } finally {
    await postgres.stop();
  }
}

async function request(
  url: string,
  creator: Awaited<ReturnType<typeof startControlPlane>>["admin"],
  ended: number,
) {
  const fetch = leanFetch();
  const admin = createClient({ url, token: adminToken, fetch });
  const token = await enrollBuilder(creator, url, "bench");
  const builder = createClient({ url, token, fetch }).builder;
  const took = { list: [] as number[], get: [] as number[], claim: [] as number[], failed: 0 };
  let countsFromMs = Infinity;
  const timed = async (call: "list" | "get" | "claim", work: () => Promise<unknown>) => {
    const startMs = performance.now();
    try {
      await work();
      const endMs = performance.now();
      if (startMs >= countsFromMs) took[call].push(endMs - startMs);
    } catch {
      took.failed += 1;
    }
  };
  const running: Promise<void>[] = [];
  const startMs = performance.now();
  countsFromMs = startMs + warmSeconds * 1000;
  // At set times, whether or not the ones before have been answered.
  for (let sent = 0; sent < requestsPerSecond * (warmSeconds + seconds); sent += 1) {
    const waitMs = startMs + (sent * 1000) / requestsPerSecond - performance.now();
    if (waitMs > 1) await sleep(waitMs);
    const id = 1 + ((sent * 7919) % ended);
    if (sent % 3 === 0) running.push(timed("list", () => admin.builds.list({ project: "bench" })));
    if (sent % 3 === 1) running.push(timed("get", () => admin.builds.get(id)));
    const name = `builder-${sent}`;
    if (sent % 3 === 2) running.push(timed("claim", () => builder.lease({ builder: name })));
  }
  await Promise.all(running);
  return took;
}
