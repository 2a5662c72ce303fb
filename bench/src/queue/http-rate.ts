// Builds a second over HTTP: builders claim, beat and publish against one control plane.
import { join } from "node:path";
import { type Client, createClient } from "@shoal/api/client";
import { enroll } from "@shoal/trust/enroll.test-kit";
import { rounded } from "../result.ts";
import { makeKeys, startControlPlane } from "./control-planes.ts";
import { createDatabase } from "./database.ts";
import { HttpBuilder } from "./http-builders.ts";
import { Ledger, quantile } from "./ledger.ts";
import type { QueueOptions } from "./options.ts";

/** A home region with a seeder that only its address is known of, and a project. */
export async function prepareFleet(admin: Client, url: string): Promise<void> {
  await admin.regions.create({ name: "home", home: true });
  const connect = (token: () => string): Client => createClient({ url, token });
  const seeder = { role: "seeder", name: "seeder", region: "home" } as const;
  const { client } = await enroll(admin, connect, seeder);
  await client.seeder.register({
    url: "https://127.0.0.1:1",
    swarmAddresses: [],
    goalEpochMax: 0,
  });
  await admin.projects.create({
    name: "bench",
    remoteUrl: "/srv/bench",
    buildCommand: "true",
    artifactPath: "out",
  });
}

/** What a builder of this name presents from now on. */
export async function enrollBuilder(
  admin: Client,
  url: string,
  name: string,
): Promise<() => string> {
  const connect = (token: () => string): Client => createClient({ url, token });
  return (await enroll(admin, connect, { role: "builder", name, region: "home" })).token;
}

export const commitOf = (index: number): string => index.toString(16).padStart(40, "0");

/** Asks for builds, a few at a time; answers builds a second. */
export async function queueBuilds(admin: Client, from: number, count: number): Promise<number> {
  let next = from;
  const startMs = performance.now();
  const ask = async (): Promise<void> => {
    while (next < from + count) {
      const commit = commitOf(next);
      next += 1;
      await admin.builds.start({ project: "bench", commit });
    }
  };
  await Promise.all(Array.from({ length: 16 }, ask));
  return (count * 1000) / (performance.now() - startMs);
}

export async function measureHttp(
  dir: string,
  postgresUrl: string,
  options: QueueOptions,
): Promise<Record<string, number>> {
  const keys = await makeKeys(join(dir, "keys"));
  const databaseUrl = await createDatabase(postgresUrl, "http");
  const plane = await startControlPlane(join(dir, "plane"), keys, databaseUrl, 0);
  try {
    await prepareFleet(plane.admin, plane.url);
    process.stderr.write(`queueing ${options.builds} builds\n`);
    const queuedPerSecond = await queueBuilds(plane.admin, 0, options.builds);
    const ledger = new Ledger();
    const stop = new AbortController();
    const startMs = performance.now();
    const running: Promise<void>[] = [];
    for (let index = 0; index < options.builders; index += 1) {
      const name = `builder-${index}`;
      const token = await enrollBuilder(plane.admin, plane.url, name);
      const urls = (): readonly string[] => [plane.url];
      const builder = new HttpBuilder({
        name,
        token,
        urls,
        key: keys.builder,
        ledger,
        signal: stop.signal,
      });
      running.push(builder.run());
    }
    while (ledger.ended < options.builds && performance.now() - startMs < 600_000) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const lastMs = ledger.endsAtMs.at(-1) ?? startMs;
    stop.abort();
    await Promise.all(running);
    return {
      buildsPerSecond: rounded((ledger.ended * 1000) / (lastMs - startMs)),
      claimHttpMsP50: rounded(quantile(ledger.claimMs, 0.5)),
      claimHttpMsP99: rounded(quantile(ledger.claimMs, 0.99)),
      queuedPerSecond: rounded(queuedPerSecond),
      unfinished: options.builds - ledger.ended,
    };
  } finally {
    await plane.kill();
  }
}
