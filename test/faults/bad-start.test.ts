// Processes that can't start: each says in one line on standard error what is wrong, with its code and
// what to do, and ends with status 2 instead of trying for ever.
import { roomMain, type Room } from "@shoal/daemon/room-main";
import { createKey, writeKey } from "@shoal/trust/key-file";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo, type Server } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Fleet, freePort } from "./fleet.ts";
import { runNode, type CommandEnd } from "./shoal-command.ts";

const minuteMs = 60_000;
type Config = Readonly<Record<string, unknown>>;

let fleet: Fleet;
let busy: Server;
let busyPort = 0;
let starts = 0;

beforeAll(async () => {
  fleet = await Fleet.empty();
  await fleet.startControl();
  busy = createServer().listen(0, "127.0.0.1");
  await once(busy, "listening");
  busyPort = (busy.address() as AddressInfo).port;
}, minuteMs);
afterAll(async () => {
  busy?.close();
  await fleet?.[Symbol.asyncDispose]();
}, minuteMs);

async function start(room: Room, config: Config): Promise<CommandEnd> {
  starts += 1;
  const file = join(fleet.dir, `start-${starts}.json`);
  await writeFile(file, JSON.stringify(config));
  return runNode([roomMain(room), "--config", file]);
}

async function folder(name: string): Promise<string> {
  const path = join(fleet.dir, `${name}-${starts}`);
  await mkdir(path, { recursive: true });
  return path;
}

async function controlPlane(differences: Config): Promise<Config> {
  const { trustFile, rootPublicKey, controlPlaneKeyFile: keyFile } = fleet.keys;
  return {
    ...{ stateDir: await folder("control"), port: 0, adminTokenFile: fleet.tokenFile },
    ...{ databaseUrl: "postgres://nobody@127.0.0.1:1/none", keyFile, trustFile, rootPublicKey },
    ...differences,
  };
}

async function seeder(differences: Config): Promise<Config> {
  const { trustFile, rootPublicKey } = fleet.keys;
  return {
    ...{ stateDir: await folder("seeder"), port: 0, controlPlaneUrl: fleet.url },
    ...{ name: "seeder-0", joinToken: "none", trustFile, rootPublicKey },
    ...differences,
  };
}

async function agent(differences: Config): Promise<Config> {
  const { trustFile, rootPublicKey } = fleet.keys;
  const { peerId } = createKey();
  return {
    ...{ hostId: "host-1", region: "eu", stateDir: await folder("host"), joinToken: "none" },
    ...{ seeders: [{ url: "https://127.0.0.1:1", peerId }], trustFile, rootPublicKey },
    ...differences,
  };
}

/** One line for a person, no stack, status 2. */
function expectExplained(end: CommandEnd, code: string, says: RegExp): void {
  const lines = end.stderr.trimEnd().split("\n");
  const last = lines.at(-1) ?? "";
  expect(last, end.stderr).toContain(code);
  expect(last).toMatch(says);
  expect(end.stderr).not.toMatch(/\n {4}at /);
  expect(end.stdout, "it never says that it is ready").toBe("");
  expect(end.status).toBe(2);
}

describe("a port in use", () => {
  test("is named by the control plane", { timeout: minuteMs }, async () => {
    const postgres = fleet.member("postgres");
    expect(postgres.pid).toBeDefined();
    const config = await controlPlane({ port: busyPort, databaseUrl: undefined });
    const end = await start("control-plane", config);
    expectExplained(end, "listen_failed", new RegExp(String(busyPort)));
  });

  test("is named by a seeder, for hosts and for peers", { timeout: minuteMs }, async () => {
    const https = await start("seeder", await seeder({ port: busyPort }));
    expectExplained(https, "listen_failed", new RegExp(String(busyPort)));
    const swarmListen = [`/ip4/127.0.0.1/tcp/${busyPort}`];
    const swarm = await start("seeder", await seeder({ swarmListen }));
    expectExplained(swarm, "listen_failed", new RegExp(String(busyPort)));
  });

  test("is named by a host's agent, for peers", { timeout: minuteMs }, async () => {
    const swarmListen = [`/ip4/127.0.0.1/tcp/${busyPort}`];
    const end = await start("host-agent", await agent({ swarmListen }));
    expectExplained(end, "swarm_listen_failed", new RegExp(String(busyPort)));
  });
});

describe("a database", () => {
  test("that isn't there is said not to be", { timeout: minuteMs }, async () => {
    const port = await freePort();
    const databaseUrl = `postgres://me:hunter2@127.0.0.1:${port}/shoal`;
    const end = await start("control-plane", await controlPlane({ databaseUrl }));
    expectExplained(end, "database_unusable", new RegExp(`ECONNREFUSED.*${port}|${port}.*`));
    expect(end.stderr).not.toContain("hunter2");
  });

  test("that is something else is said to be unusable", { timeout: minuteMs }, async () => {
    const databaseUrl = `postgres://me@127.0.0.1:${new URL(fleet.url).port}/shoal`;
    const end = await start("control-plane", await controlPlane({ databaseUrl }));
    expectExplained(end, "database_unusable", /database/);
  });
});

describe("keys and trust", () => {
  test("a key that others may read isn't used", { timeout: minuteMs }, async () => {
    const keyFile = join(await folder("exposed"), "key.jwk");
    await writeKey(keyFile, createKey());
    await chmod(keyFile, 0o644);
    const end = await start("control-plane", await controlPlane({ keyFile }));
    expectExplained(end, "key_file_exposed", /chmod 600/);
  });

  test("a key that the trust document doesn't name isn't used", { timeout: minuteMs }, async () => {
    const keyFile = join(await folder("stranger"), "key.jwk");
    await writeKey(keyFile, createKey());
    const end = await start("control-plane", await controlPlane({ keyFile }));
    expectExplained(end, "key_not_trusted", /trust/);
  });

  test.for(["seeder", "host-agent"] as const)(
    "a %s believes no trust document of another root, and none that it can't read",
    { timeout: minuteMs },
    async (room) => {
      const configure = room === "seeder" ? seeder : agent;
      const other = createKey().publicKey;
      const rootPublicKey = other.toBase64({ alphabet: "base64url", omitPadding: true });
      const foreign = await start(room, await configure({ rootPublicKey }));
      expectExplained(foreign, "signature_key_unknown", /key/);
      const missing = await start(room, await configure({ trustFile: "/nowhere/trust.json" }));
      expectExplained(missing, "trust_file_unreadable", /\/nowhere\/trust\.json/);
    },
  );
});

describe("a configuration", () => {
  test.for(["control-plane", "builder", "seeder", "host-agent"] as const)(
    "of a %s with several faults is refused with all of them",
    { timeout: minuteMs },
    async (room) => {
      const end = await start(room, { port: 70_000, keyFle: "/a", trustFile: 7 });
      expectExplained(end, "config_invalid", /keyFle/);
      expect(end.stderr.match(/\(SHOAL_\w+\)/g)?.length ?? 0).toBeGreaterThan(2);
    },
  );

  test("of a file that isn't JSON is said not to be", { timeout: minuteMs }, async () => {
    const file = join(fleet.dir, "broken.json");
    await writeFile(file, "{ not json");
    const end = await runNode([roomMain("builder"), "--config", file]);
    expectExplained(end, "config_invalid", /broken\.json/);
  });
});
