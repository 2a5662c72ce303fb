// Two processes for kill-nine.test.ts, in one folder: a seeder that also lets go of what
// isn't named any more and collects all the time, and a builder that publishes to it one artifact after
// the other over HTTPS. Each may be killed at any moment and started again on what it left.
import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createSeederClient, type SeederClient } from "@shoal/api/seeder-client";
import { openDirectoryBlobs } from "@shoal/store/directory-blobs";
import { createKey, KeyFile } from "@shoal/trust/key-file";
import { createPinnedFetch } from "@shoal/trust/pinned-fetch";
import { makeArtifact, TestFleet, type FleetKeys, type TestArtifact } from "../fleet.test-kit.ts";
import { Retention } from "../region/retention.ts";
import { publish, startTestSeeder } from "../seeder.test-kit.ts";

const files = { keys: "keys.json", seeder: "seeder.json", named: "named.json", notes: "notes" };
const collectEveryMs = 20;
const triesMax = 200;
const namedMax = 4;

/** Artifact n: its second half are the chunks of artifact n + 1's first half. */
export function victimArtifact(label: number): TestArtifact {
  return makeArtifact(label * 12, 24, 20_000);
}

/** The artifacts of which a builder was told that they are held, and that it hasn't dropped since. */
export function publishedIn(notes: string): ReadonlySet<number> {
  const published = new Set<number>();
  for (const line of notes.split("\n").slice(0, -1)) {
    const [verb, label] = line.split(" ");
    if (verb === "published") published.add(Number(label));
    if (verb === "dropped") published.delete(Number(label));
  }
  return published;
}

/** Call once, before the first process is started. */
export function writeFleetKeys(folder: string): TestFleet {
  const names = ["builder", "apiBuilder", "goals", "papers"] as const;
  const secrets = names.map((name) => [name, createKey().exportSecretJwk()]);
  writeFileSync(join(folder, files.keys), JSON.stringify(Object.fromEntries(secrets)));
  writeFileSync(join(folder, files.notes), "");
  return readFleet(folder);
}

export function readNotes(folder: string): string {
  return readFileSync(join(folder, files.notes), "utf8");
}

/** A client of the seeder that was started last. */
export async function connect(
  folder: string,
  grant: string,
): Promise<{
  readonly client: SeederClient;
  readonly close: () => Promise<void>;
}> {
  const { url, peerId } = JSON.parse(readFileSync(join(folder, files.seeder), "utf8")) as Record<
    string,
    string
  >;
  const fetch = createPinnedFetch({ peerId: peerId ?? "" });
  const client = createSeederClient({ url: url ?? "", fetch, token: () => grant });
  return { client, close: () => fetch.close() };
}

function readFleet(folder: string): TestFleet {
  const secrets: Record<keyof FleetKeys, ConstructorParameters<typeof KeyFile>[0]> = JSON.parse(
    readFileSync(join(folder, files.keys), "utf8"),
  );
  const { builder, apiBuilder, goals, papers } = secrets;
  return new TestFleet({
    builder: new KeyFile(builder),
    apiBuilder: new KeyFile(apiBuilder),
    goals: new KeyFile(goals),
    papers: new KeyFile(papers),
  });
}

function readNamed(folder: string): readonly number[] {
  const path = join(folder, files.named);
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as readonly number[]) : [];
}

export async function runSeeder(folder: string): Promise<never> {
  const blobs = await openDirectoryBlobs(join(folder, "store"));
  const { deps, key, url } = await startTestSeeder({
    fleet: readFleet(folder),
    stops: [],
    blobs,
    folder,
  });
  const retention = new Retention({ ...deps, onDropped: () => undefined }, 0);
  write(join(folder, files.seeder), JSON.stringify({ url, peerId: key.peerId }));
  process.stdout.write(`${JSON.stringify(deps.store.chunks.damagedPacks)}\n`);
  for (;;) {
    await retention.run(new Set(readNamed(folder).map((label) => victimArtifact(label).cid)));
    await sleep(collectEveryMs);
  }
}

export async function runBuilder(folder: string): Promise<never> {
  const fleet = readFleet(folder);
  process.stdout.write("ready\n");
  const note = (text: string): void => appendFileSync(join(folder, files.notes), `${text}\n`);
  // What was being published when the last builder was killed is published anew, whatever came of it.
  for (let label = Math.max(1, ...readNamed(folder)); ; label += 1) {
    const kept = readNamed(folder).filter((other) => other !== label);
    const dropped = kept.length < namedMax ? undefined : kept[0];
    // Said before it is done: who reads the notes may miss what is there, never what isn't.
    if (dropped !== undefined) note(`dropped ${dropped}`);
    write(
      join(folder, files.named),
      JSON.stringify([...kept.filter((other) => other !== dropped), label]),
    );
    await publishUntilHeld(folder, fleet, label);
    note(`published ${label}`);
  }
}

/** As a build that is tried again: from the start, sending what is missing. */
async function publishUntilHeld(folder: string, fleet: TestFleet, label: number): Promise<void> {
  let failure: unknown;
  for (let tries = 0; tries < triesMax; tries += 1) {
    const { client, close } = await connect(folder, await fleet.ingestGrant());
    try {
      await publish(client, fleet, victimArtifact(label));
      return;
    } catch (error) {
      failure = error;
      await sleep(50);
    } finally {
      await close();
    }
  }
  throw failure;
}

function write(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}
