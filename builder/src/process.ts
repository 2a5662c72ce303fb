// Puts a builder together from its configuration, in order: lock, leftovers, tools, sandbox, key, loop.
// Everything is stopped in the reverse order.
import { once } from "node:events";
import { chmod, mkdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import type { BuilderLoad, Lease } from "@shoal/api/builder";
import { createClient } from "@shoal/api/client";
import { createSeederClient } from "@shoal/api/seeder-client";
import { digest, toHex } from "@shoal/core/digest";
import { kibibyte } from "@shoal/core/units";
import { builderStopMsMax, buildKillMsMax } from "@shoal/core/limits";
import { StateFile } from "@shoal/daemon/atomic-file";
import type { DaemonContext } from "@shoal/daemon/daemon";
import { loadOrCreateKey, readKey, type KeyFile } from "@shoal/trust/key-file";
import { MemberKeeper } from "@shoal/trust/member-keeper";
import { createPinnedFetch } from "@shoal/trust/pinned-fetch";
import { runAttempt } from "./attempt.ts";
import { startBuilder } from "./builder.ts";
import type { BuilderConfig } from "./config.ts";
import { diskFullOf } from "./failure.ts";
import { openGit } from "@shoal/daemon/git";
import { machineLoad } from "./machine-load.ts";
import { killUntilGone, markName, markedProcesses } from "./processes.ts";
import { PreparedCache } from "./prepare/cache.ts";
import { readArtifact } from "./publish/read-artifact.ts";
import { createPublish, type Publish } from "./publish/publish.ts";
import { createBubblewrap } from "./sandbox/bubblewrap.ts";
import { openLimiter } from "./sandbox/open-limiter.ts";
import { createPlain } from "./sandbox/plain.ts";
import type { Sandbox } from "./sandbox/sandbox.ts";
import type { SuperviseDeps } from "./sandbox/supervise.ts";
import { fillToolbox, systemMounts } from "./sandbox/toolbox.ts";
import { openScratch } from "./scratch.ts";
import { lockWorkDir } from "./work-dir-lock.ts";
import { removeLeftovers } from "./workspace.ts";

/** What `main.ts` reads from the process itself. */
export interface Machine {
  readonly searchPath: string;
  readonly home: string;
  readonly nodePath: string;
  readonly arch: string;
  readonly isRoot: boolean;
}

const memberBytesMax = 64 * kibibyte;

/** Starts a builder; what it returns goes into the ready line. */
export async function startBuilderProcess(
  { log, lifecycle, onDrain }: DaemonContext,
  config: BuilderConfig,
  machine: Machine,
): Promise<Record<string, unknown>> {
  const { searchPath } = machine;
  await mkdir(config.workDir, { recursive: true, mode: 0o711 });
  const workDir = await realpath(config.workDir);
  // Names everything that this builder starts, in this life and in others.
  const scope = toHex(digest(new TextEncoder().encode(workDir)).subarray(0, 8));
  const lock = await lockWorkDir(scope, workDir);
  lifecycle.defer("work folder's lock", () => lock.release());

  await killUntilGone(() => markedProcesses(`${scope}/`), buildKillMsMax);
  const uid = machine.isRoot ? config.sandboxUid : null;
  const owner = { uid, searchPath };
  const scratch = await openScratch(workDir, owner);
  lifecycle.defer("scratch folder", () => scratch.close());
  const builds = join(scratch.folder, "attempts");
  await mkdir(builds, { recursive: true });
  await chmod(builds, 0o711); // Whatever the umask.
  const leftovers = await removeLeftovers(builds, searchPath);
  if (leftovers > 0) log.warn({ leftovers }, "removed what an earlier life left");

  const toolbox = join(scratch.folder, "tools");
  await fillToolbox(toolbox, machine.nodePath).catch((error: unknown) => {
    throw diskFullOf(error) ?? error;
  });
  const limiter = await openLimiter({ log }, scope);
  if (limiter !== null) lifecycle.defer("control groups", () => limiter.close());
  const deps: SuperviseDeps = { log, limiter, scope, searchPath, uid };
  const sandbox = await createSandbox(deps, config, machine, toolbox, builds);

  const { member, client } = await openMember(config, workDir, log);
  const git = await openGit({
    path: searchPath,
    environment: { [markName]: `${scope}/git/` },
    folder: join(workDir, "git"),
    home: machine.home,
  });
  const currentKey = await openKey(config.keyFile, log);
  const cache = await PreparedCache.open(
    { log },
    { folder: join(workDir, "prepared"), bytesMax: config.preparedBytesMax, searchPath },
  );
  const load = (): Promise<BuilderLoad> => machineLoad(workDir);
  const attempt = { client, git, sandbox, cache, load, log };
  const place = { scratch: builds, owner, secretsDir: config.secretsDir ?? null };
  const runs = async (lease: Lease, stopping: AbortSignal) => {
    const key = await currentKey();
    const ownSecrets = [key, member.key].map((one) => one.exportSecretJwk().d);
    if (config.joinToken !== undefined) ownSecrets.push(config.joinToken);
    const publish = openPublish(config, key);
    return runAttempt({ ...attempt, publish }, { ...place, ownSecrets }, lease, stopping);
  };
  const lease: typeof client.lease = (input, options = {}) => {
    const signal = options.signal ?? new AbortController().signal;
    return member.keeper.call(() => client.lease(input, options), signal);
  };
  const calls = { lease, drain: client.drain };
  const builder = startBuilder({ client: calls, runAttempt: runs, load, log }, config);
  lifecycle.defer("builds", () => builder.stop(), builderStopMsMax);
  onDrain(async (hurry) => {
    const late = AbortSignal.timeout(config.drainMs);
    log.info({ drainMs: config.drainMs }, "draining: no more builds are taken");
    await Promise.race([builder.drain(), aborted(hurry), aborted(late)]);
  });
  return { name: config.name, sandbox: sandbox.describe, workDir };
}

/** Key, passport and calls of this member of the fleet; what builds do is not allowed to see the folder. */
async function openMember(config: BuilderConfig, workDir: string, log: DaemonContext["log"]) {
  const folder = join(workDir, "member");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const key = await loadOrCreateKey(join(folder, "builder.jwk"));
  const token = (): string => keeper.callProof();
  const { members, builder: client } = createClient({
    url: config.controlPlaneUrl,
    token,
    renewToken: (...refusal) => keeper.rejoin(...refusal),
  });
  const keeper = new MemberKeeper(
    {
      key,
      client: () => members,
      file: new StateFile(join(folder, "member.json"), memberBytesMax),
      now: Date.now,
      random: Math.random,
      log,
    },
    { role: "builder", name: config.name, joinToken: config.joinToken },
  );
  await keeper.load();
  return { member: { key, keeper }, client };
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}

/** The key of the file, looked at before each build: one that was replaced signs from then on. */
async function openKey(path: string, log: DaemonContext["log"]): Promise<() => Promise<KeyFile>> {
  let key = await loadOrCreateKey(path);
  return async () => {
    try {
      key = await readKey(path);
    } catch (error) {
      log.warn({ error }, "the signing key can't be read; going on with the one that was there");
    }
    return key;
  };
}

async function createSandbox(
  deps: SuperviseDeps,
  config: BuilderConfig,
  machine: Machine,
  toolbox: string,
  trialFolder: string,
): Promise<Sandbox> {
  if (config.sandbox === "none") {
    deps.log.warn("builds run without isolation: they can read what their user can");
    return createPlain(deps, { toolbox });
  }
  const mounts = await systemMounts(toolbox, config.readOnlyFolders);
  return createBubblewrap(deps, { mounts, toolbox, arch: machine.arch, trialFolder });
}

function openPublish(config: BuilderConfig, key: KeyFile): Publish {
  return createPublish({
    key,
    builderName: config.name,
    readArtifact,
    connect: (seeder, grant) => {
      const fetch = createPinnedFetch({ peerId: seeder.peerId });
      const ingest = createSeederClient({
        url: seeder.url,
        token: grant,
        fetch: (url, init) => fetch(url, init),
      });
      return { ingest, close: () => fetch.close() };
    },
  });
}
