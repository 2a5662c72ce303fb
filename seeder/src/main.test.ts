// The seeder as a process, while there is no control plane: it starts, says what it lacks, survives
// kill -9 and keeps its key.
import { loadOrCreateKey } from "@shoal/trust/key-file";
import { createPinnedFetch } from "@shoal/trust/pinned-fetch";
import { signTrustDocument } from "@shoal/trust/trust-document";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { TestFleet } from "./fleet.test-kit.ts";
import { stopAll, temporaryFolder, type Stops } from "./seeder.test-kit.ts";

const stops: Stops = [];
afterEach(() => stopAll(stops));

/** Writes what an operator gives a seeder; answers the path of its configuration. */
async function configure(folder: string): Promise<string> {
  const root = await loadOrCreateKey(join(folder, "root.jwk"));
  const { trust } = new TestFleet();
  const expires = new Date(Date.now() + 86_400_000).toISOString();
  const signed = signTrustDocument(root, { ...trust, expires });
  await writeFile(join(folder, "trust.json"), JSON.stringify(signed));
  const config = {
    controlPlaneUrl: "http://127.0.0.1:9",
    name: "seeder-1",
    joinToken: "a-token-of-the-test",
    stateDir: join(folder, "state"),
    port: 0,
    trustFile: join(folder, "trust.json"),
    rootPublicKey: root.publicKey.toBase64({ alphabet: "base64url", omitPadding: true }),
  };
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  return join(folder, "config.json");
}

interface Ready {
  readonly url: string;
  readonly peerId: string;
  readonly swarmAddresses: readonly string[];
}

async function run(config: string): Promise<{ child: ChildProcess; ready: Ready }> {
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  const environment = { PATH: process.env["PATH"], SHOAL_EXIT_WITH_PARENT: "1" };
  const child = spawn(process.execPath, [main, "--config", config], {
    env: environment,
    stdio: ["pipe", "pipe", "ignore"],
  });
  stops.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  const [line] = await once(createInterface(child.stdout), "line");
  return { child, ready: JSON.parse(String(line)) };
}

async function get(ready: Ready, path: string): Promise<{ status: number; body: unknown }> {
  const fetch = createPinnedFetch({ peerId: ready.peerId });
  stops.push(() => fetch.close());
  const answer = await fetch(`${ready.url}${path}`);
  return { status: answer.status, body: await answer.json() };
}

test(
  "a seeder without a control plane is alive and not ready, and keeps its key when killed",
  { timeout: 30_000 },
  async () => {
    const folder = await temporaryFolder(stops);
    const config = await configure(folder);
    const first = await run(config);
    expect(first.ready.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect(first.ready.swarmAddresses[0]).toMatch(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+$/);
    expect(await get(first.ready, "/livez")).toMatchObject({ status: 200 });
    expect(await get(first.ready, "/readyz")).toMatchObject({
      status: 503,
      body: { code: "seeder_starting", retryable: true },
    });
    first.child.kill("SIGKILL");
    await once(first.child, "exit");

    const second = await run(config);
    expect(second.ready.peerId).toBe(first.ready.peerId);
    expect(await readdir(join(folder, "state"))).toContain("seeder.jwk");
    second.child.kill("SIGTERM");
    const [code] = await once(second.child, "exit");
    expect(code).toBe(0);
  },
);
