// Fetches what a build needs before it runs: from the cache when a prepare with the same facts was kept,
// otherwise by the project's prepare command, in the sandbox of builds, with our proxy as its only way to
// the network. What the command made (folders and files that the checkout didn't have, and what it left
// in its home) is then kept for the next build. Its temporary files are not, so that a build finds the
// same after a hit and after a miss.
import { chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Lease } from "@shoal/api/builder";
import type { Prepare } from "@shoal/api/control-plane";
import { parseNetworkHost } from "@shoal/core/build/network-host";
import { ShoalError } from "@shoal/core/error";
import { preparedPathsMax, proxyRefusalsToldMax } from "@shoal/core/limits";
import type { Log } from "@shoal/daemon/log";
import { requireSuccess } from "../failure.ts";
import type { LogStream } from "../log-stream.ts";
import type { Sandbox, SandboxEnd } from "../sandbox/sandbox.ts";
import { removeTree, type Workspace, type WorkspaceOwner, giveToBuild } from "../workspace.ts";
import type { PreparedCache } from "./cache.ts";
import { type Snapshot, findChanges, notKept, takeSnapshot } from "./changes.ts";
import { preparedKey, readLockFiles } from "./lock-files.ts";
import { type Proxy, openProxy } from "./proxy.ts";

export interface PrepareDeps {
  readonly sandbox: Sandbox;
  readonly cache: PreparedCache;
  readonly log: Log;
}

export interface PrepareInput {
  readonly lease: Lease;
  readonly prepare: Prepare;
  readonly workspace: Workspace;
  readonly owner: WorkspaceOwner;
  /** Unique among the runs of this builder. */
  readonly id: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly output: Pick<LogStream, "append" | "note">;
  readonly signal: AbortSignal;
}

/**
 * Leaves the checkout, already the build's, with what the build needs.
 * @throws ShoalError `prepare_failed`, `lock_file_missing` and the codes of a build that passes a limit.
 */
export async function prepareWorkspace(deps: PrepareDeps, input: PrepareInput): Promise<void> {
  const { output, prepare, workspace, owner, signal } = input;
  const key = await cacheKey(deps, input);
  if (key === null) {
    await output.note("No lock file was found: what the prepare command makes isn't kept");
  } else if (await deps.cache.restore(key, workspace.folders)) {
    await giveToBuild(workspace, owner);
    await output.note(`Taken from the cache: what "${prepare.command}" made`);
    return;
  }
  const before = key === null ? null : await snapshot(deps, input);
  const end = await runCommand(deps, input);
  signal.throwIfAborted();
  requireSuccess(end, input.lease.limits, "prepare");
  await emptyTemporary(workspace, owner);
  if (key !== null && before !== null) await keep(deps, input, key, before);
}

/** Null when there is nothing that would tell whether the result is still the right one. */
async function cacheKey(deps: PrepareDeps, input: PrepareInput): Promise<string | null> {
  const { prepare, lease, workspace } = input;
  const lockFiles = await readLockFiles(workspace.folders.source, prepare.lockFiles);
  if (lockFiles.length === 0) return null;
  return preparedKey({
    // A command runs the project's own code: one project's result is never another's.
    project: lease.project,
    command: prepare.command,
    hosts: prepare.hosts,
    lockFiles,
    node: process.versions.node,
    arch: process.arch,
    sandbox: deps.sandbox.kind,
  });
}

async function runCommand(deps: PrepareDeps, input: PrepareInput): Promise<SandboxEnd> {
  const { prepare, workspace, output, lease } = input;
  await output.note(`Running ${prepare.command}, ${describeNetwork(deps.sandbox, prepare.hosts)}`);
  const proxyFolder = join(workspace.folder, "proxy");
  const proxy = prepare.hosts.length === 0 ? null : await open(input, proxyFolder);
  try {
    return await deps.sandbox.run({
      id: `${input.id}-prepare`,
      workspace: workspace.folder,
      folders: workspace.folders,
      command: prepare.command,
      environment: input.environment,
      limits: lease.limits,
      proxyFolder: proxy === null ? null : proxyFolder,
      onOutput: (bytes) => output.append(bytes),
      signal: input.signal,
    });
  } finally {
    await proxy?.close();
  }
}

async function open(input: PrepareInput, folder: string): Promise<Proxy> {
  const { prepare, output, owner } = input;
  await mkdir(folder, { mode: 0o700 });
  if (owner.uid !== null) await chown(folder, owner.uid, owner.uid);
  const told = new Set<string>();
  return openProxy({
    hosts: prepare.hosts.flatMap((text) => parseNetworkHost(text) ?? []),
    folder,
    onRefused: (address) => {
      if (told.has(address) || told.size >= proxyRefusalsToldMax) return;
      told.add(address);
      void output.note(`Refused: ${address} isn't among the hosts that this project may reach`);
    },
  });
}

function describeNetwork(sandbox: Sandbox, hosts: readonly string[]): string {
  const list = hosts.length === 0 ? "without network" : `with network to ${hosts.join(", ")} alone`;
  return sandbox.kind === "none"
    ? `meant to run ${list}, which a builder without sandbox can't enforce`
    : list;
}

interface Before {
  readonly source: Snapshot;
  readonly home: Snapshot;
}

async function snapshot(deps: PrepareDeps, input: PrepareInput): Promise<Before | null> {
  const { source, home } = input.workspace.folders;
  try {
    return { source: await takeSnapshot(source), home: await takeSnapshot(home) };
  } catch (error) {
    await tellNotKept(deps, input, error);
    return null;
  }
}

/** A result that can't be kept costs the next build time; it doesn't fail this one. */
async function keep(
  deps: PrepareDeps,
  input: PrepareInput,
  key: string,
  before: Before,
): Promise<void> {
  const { folders } = input.workspace;
  try {
    const source = await findChanges(folders.source, before.source);
    const home = await findChanges(folders.home, before.home);
    if (source.altered !== null) throw notKept(`the command changed ${source.altered}`);
    if (source.made.length + home.made.length > preparedPathsMax) {
      throw notKept(`it lies in more than ${preparedPathsMax} places`);
    }
    const bytes = source.bytes + home.bytes;
    await deps.cache.keep(key, folders, { source: source.made, home: home.made, bytes });
    const places = [...source.made, ...home.made.map((path) => `~/${path}`)];
    const some = places.slice(0, 5).join(", ") + (places.length > 5 ? ", …" : "");
    await input.output.note(`Kept for the next build: ${bytes} bytes in ${some || "nothing"}`);
  } catch (error) {
    await tellNotKept(deps, input, error);
  }
}

async function tellNotKept(deps: PrepareDeps, input: PrepareInput, error: unknown): Promise<void> {
  const ours = error instanceof ShoalError && error.code === "prepared_not_kept";
  if (!ours) deps.log.warn({ error }, "a prepared result can't be kept");
  const why = ours ? error.message : "the builder's log says why";
  await input.output.note(`What the prepare command made isn't kept: ${why}`);
}

async function emptyTemporary(workspace: Workspace, owner: WorkspaceOwner): Promise<void> {
  const { temporary } = workspace.folders;
  await removeTree(temporary, owner.searchPath);
  await mkdir(temporary, { mode: 0o700 });
  if (owner.uid !== null) await chown(temporary, owner.uid, owner.uid);
}
