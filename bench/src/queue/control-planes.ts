// Real control planes as child processes on one Postgres, with keys of their own, for measurements.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type Client, createClient } from "@shoal/api/client";
import { type KeyFile, loadOrCreateKey } from "@shoal/trust/key-file";
import { signTrustDocument, trustKeyOf } from "@shoal/trust/trust-document";

const program = fileURLToPath(new URL("../../../control-plane/src/main.ts", import.meta.url));
export const adminToken = "bench-admin-token-0123456789";

export interface BenchKeys {
  readonly builder: KeyFile;
  readonly settings: Readonly<Record<string, string>>;
}

/** Keys, trust document and admin token in a folder. */
export async function makeKeys(dir: string): Promise<BenchKeys> {
  await mkdir(dir, { recursive: true });
  const root = await loadOrCreateKey(join(dir, "root.jwk"));
  const own = await loadOrCreateKey(join(dir, "control-plane.jwk"));
  const builder = await loadOrCreateKey(join(dir, "builder.jwk"));
  const until = new Date(Date.now() + 86_400_000).toISOString();
  const trust = signTrustDocument(root, {
    format: "shoal.trust/v1",
    version: 1,
    issuedAt: new Date().toISOString(),
    expires: until,
    keys: [trustKeyOf(own.publicKey, until), trustKeyOf(builder.publicKey, until)],
    statements: [{ key: builder.keyId, projects: "*" }],
    goals: [{ key: own.keyId, environments: "*" }],
    passports: [{ key: own.keyId, regions: "*" }],
    grants: [{ key: own.keyId, regions: "*" }],
  });
  await writeFile(join(dir, "trust.json"), JSON.stringify(trust));
  await writeFile(join(dir, "admin-token"), adminToken);
  return {
    builder,
    settings: {
      adminTokenFile: join(dir, "admin-token"),
      keyFile: join(dir, "control-plane.jwk"),
      trustFile: join(dir, "trust.json"),
      rootPublicKey: root.publicKey.toBase64({ alphabet: "base64url", omitPadding: true }),
    },
  };
}

export interface ControlPlaneProcess {
  readonly url: string;
  readonly admin: Client;
  readonly child: ChildProcess;
  /** At once, without a chance to clean up. Resolves when it is gone. */
  kill(): Promise<void>;
}

/** Starts one and waits until it is ready; `port` 0 takes a free one. */
export async function startControlPlane(
  dir: string,
  keys: BenchKeys,
  databaseUrl: string,
  port: number,
): Promise<ControlPlaneProcess> {
  await mkdir(dir, { recursive: true });
  const config = join(dir, "config.json");
  await writeFile(config, JSON.stringify({ ...keys.settings, stateDir: dir, databaseUrl, port }));
  const child = spawn(process.execPath, [program, "--config", config], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { SHOAL_EXIT_WITH_PARENT: "1", SHOAL_LOG_LEVEL: "fatal" },
  });
  child.stdin.on("error", () => undefined);
  const exited = once(child, "exit");
  const lines = createInterface({ input: child.stdout });
  const ready = await Promise.race([
    once(lines, "line").then(([line]) => JSON.parse(String(line)) as { url: string }),
    exited.then(() => Promise.reject(new Error("the control plane ended before it was ready"))),
  ]);
  return {
    url: ready.url,
    admin: createClient({ url: ready.url, token: adminToken }),
    child,
    kill: async () => {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
