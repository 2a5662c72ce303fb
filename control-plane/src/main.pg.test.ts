// The control plane as a process: its own Postgres, kill -9, and what is there afterwards.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { createClient } from "@shoal/api/client";
import { startPostgres } from "@shoal/postgres/server";
import { enroll } from "@shoal/trust/enroll.test-kit";
import { loadOrCreateKey } from "@shoal/trust/key-file";
import { signTrustDocument, trustKeyOf } from "@shoal/trust/trust-document";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openDatabase } from "./db/connection.ts";
import { migrate } from "./db/migrate.ts";

const silent = { info: () => {}, warn: () => {} };
const token = "an-admin-token-of-the-test";
let dir: string;
let child: ChildProcess | undefined;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shoal-control-plane-main-"));
});
afterEach(async () => {
  if (child?.exitCode === null && child.signalCode === null) {
    child.kill("SIGTERM");
    await once(child, "exit");
  }
  await rm(dir, { recursive: true, force: true });
});

async function configure(): Promise<string> {
  const path = (file: string): string => join(dir, file);
  const root = await loadOrCreateKey(path("root.jwk"));
  const key = await loadOrCreateKey(path("key.jwk"));
  const until = new Date(Date.now() + 86_400_000).toISOString();
  const trust = signTrustDocument(root, {
    format: "shoal.trust/v1",
    version: 1,
    issuedAt: new Date().toISOString(),
    expires: until,
    keys: [trustKeyOf(key.publicKey, until)],
    statements: [],
    goals: [{ key: key.keyId, environments: "*" }],
    passports: [{ key: key.keyId, regions: "*" }],
    grants: [{ key: key.keyId, regions: "*" }],
  });
  await writeFile(path("trust.json"), JSON.stringify(trust));
  await writeFile(path("token"), `${token}\n`);
  const config = {
    stateDir: path("state"),
    port: 0,
    adminTokenFile: path("token"),
    keyFile: path("key.jwk"),
    trustFile: path("trust.json"),
    rootPublicKey: root.publicKey.toBase64({ alphabet: "base64url", omitPadding: true }),
  };
  await writeFile(path("config.json"), JSON.stringify(config));
  return path("config.json");
}

/** Starts the process and answers its address once it says that it is ready. */
async function start(config: string): Promise<string> {
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  const started = spawn(process.execPath, [main, "--config", config], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { PATH: process.env["PATH"], SHOAL_EXIT_WITH_PARENT: "1", SHOAL_LOG_LEVEL: "error" },
  });
  child = started;
  for await (const line of createInterface({ input: started.stdout })) {
    const ready = JSON.parse(line) as { url: string };
    return ready.url;
  }
  throw new Error("the control plane ended before it was ready");
}

test("keeps what it was told over a kill, and stops when asked to", async () => {
  const config = await configure();
  const url = await start(config);
  const client = createClient({ url, token });
  await client.regions.create({ name: "east", home: true });
  child?.kill("SIGKILL");
  if (child !== undefined) await once(child, "exit");
  const again = await start(config);
  const { items } = await createClient({ url: again, token }).regions.list();
  expect(items.map((region) => region.name)).toEqual(["east"]);
  expect(await (await fetch(`${again}/v1/readyz`)).text()).toBe("ok");
  const document = (await (await fetch(`${again}/openapi.json`)).json()) as { openapi: string };
  expect(document.openapi).toBe("3.1.0");
  child?.kill("SIGTERM");
  const [code] = child === undefined ? [null] : ((await once(child, "exit")) as [number | null]);
  expect(code).toBe(0);
});

test("doesn't give a build to a builder that went away while it waited", async () => {
  const url = await start(await configure());
  const admin = createClient({ url, token });
  await admin.regions.create({ name: "east", home: true });
  await admin.projects.create({
    name: "greeter",
    remoteUrl: "/srv/greeter",
    buildCommand: "make",
    artifactPath: "out",
  });
  const connect = (proof: () => string) => createClient({ url, token: proof });
  const seeder = await enroll(admin, connect, { role: "seeder", name: "s", region: "east" });
  await seeder.client.seeder.register({
    url: "https://127.0.0.1:1",
    swarmAddresses: [],
    goalEpochMax: 0,
  });
  const builder = { role: "builder", name: "b", region: "east" } as const;
  const { client } = await enroll(admin, connect, builder);
  const gone = new AbortController();
  const leaving = client.builder.lease({ builder: "b", waitMs: 10_000 }, { signal: gone.signal });
  // It is surely waiting when a call that came later has been answered.
  await client.builder.lease({ builder: "b" });
  gone.abort();
  await expect(leaving).rejects.toThrow(/abort/i);
  await admin.regions.list();
  const build = await admin.builds.start({ project: "greeter", commit: "a".repeat(40) });
  await expect
    .poll(async () => (await client.builder.lease({ builder: "b" })).lease?.build, {
      timeout: 5000,
    })
    .toBe(build.id);
});

test("says that its database is of a newer Shoal, and ends without touching it", async () => {
  const postgres = await startPostgres({ dir: join(dir, "postgres"), log: silent });
  try {
    const database = openDatabase(postgres.url, 2);
    const known = await migrate(database);
    await database`insert into schema_version (version, name) values (${known + 1}, 'future')`;
    const configFile = await configure();
    const config = JSON.parse(await readFile(configFile, "utf8")) as Record<string, unknown>;
    await writeFile(configFile, JSON.stringify({ ...config, databaseUrl: postgres.url }));
    const main = fileURLToPath(new URL("main.ts", import.meta.url));
    const started = spawn(process.execPath, [main, "--config", configFile], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { PATH: process.env["PATH"] },
    });
    child = started;
    let said = "";
    started.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
    const [status] = (await once(started, "close")) as [number | null];
    expect(said).toMatch(
      new RegExp(`database_newer: .*version ${known + 1}.*up to ${known}.*backup`),
    );
    expect(status).toBe(2);
    await database.end();
  } finally {
    await postgres.stop();
  }
});
