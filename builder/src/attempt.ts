// One lease from start to end: workspace, checkout, build, publish, and the word about it to the
// control plane. Whatever happens, the control plane hears of it while the lease is ours, and nothing
// of the attempt is left on the machine. When the lease is lost, everything stops and nothing is said.
import type { BuilderLoad, Lease } from "@shoal/api/builder";
import type { Client } from "@shoal/api/client";
import type { Failure } from "@shoal/api/control-plane";
import { ShoalError } from "@shoal/core/error";
import { buildEndMsMax, builderStopReportMsMax } from "@shoal/core/limits";
import type { Log } from "@shoal/daemon/log";
import { findArtifact } from "./artifact-path.ts";
import { type CheckoutInput, checkout } from "./checkout.ts";
import { checkoutBreach, failureOf, requireSuccess } from "./failure.ts";
import type { Git } from "@shoal/daemon/git";
import { type BeatAnswer, Heartbeat, type HeartbeatTiming } from "./heartbeat.ts";
import { LogStream } from "./log-stream.ts";
import type { PreparedCache } from "./prepare/cache.ts";
import { prepareWorkspace } from "./prepare/prepare.ts";
import { keyRefusal } from "./publish/publish-failure.ts";
import type { Publish, Published } from "./publish/publish.ts";
import { parseRemote } from "@shoal/api/remote-url";
import { retry } from "./retry.ts";
import type { Sandbox } from "./sandbox/sandbox.ts";
import { type TestDeps, runTests } from "./tests/run-tests.ts";
import { watchUsage } from "./sandbox/usage-watch.ts";
import { SecretMask } from "./secrets/mask.ts";
import { placeSecrets, readProjectSecrets } from "./secrets/project-secrets.ts";
import {
  giveToBuild,
  makeWorkspace,
  removeTree,
  type Workspace,
  type WorkspaceOwner,
} from "./workspace.ts";

export interface AttemptDeps {
  readonly client: Pick<
    Client["builder"],
    "heartbeat" | "appendLog" | "reportTests" | "publish" | "fail" | "cancelled"
  >;
  readonly git: Git;
  readonly sandbox: Sandbox;
  readonly cache: PreparedCache;
  readonly publish: Publish;
  /** What is told of the machine with each heartbeat. */
  readonly load: () => Promise<BuilderLoad>;
  readonly log: Log;
}

export interface AttemptConfig {
  /** Where workspaces are made. */
  readonly scratch: string;
  readonly owner: WorkspaceOwner;
  /** Where the operator keeps the secrets of projects. */
  readonly secretsDir: string | null;
  /** What the builder itself knows and no build may print. */
  readonly ownSecrets: readonly string[];
  /** The fleet's, when absent. */
  readonly timing?: HeartbeatTiming;
}

type Ending =
  | { readonly type: "published"; readonly published: Published }
  | { readonly type: "failed"; readonly failure: Failure }
  | { readonly type: "cancelled" }
  | { readonly type: "lost" };

/**
 * Does one leased build. `stopping` gives it back as a failure of ours. Answers the failure that was told,
 * or null; never rejects for the build's faults.
 */
export async function runAttempt(
  deps: AttemptDeps,
  config: AttemptConfig,
  lease: Lease,
  stopping: AbortSignal,
): Promise<Failure | null> {
  const log = deps.log.child({ build: lease.build, attempt: lease.attempt });
  log.info({ project: lease.project, commit: lease.commit }, "build leased");
  const { client } = deps;
  const { build, fence } = lease;
  const mask = new SecretMask();
  for (const [index, secret] of config.ownSecrets.entries()) mask.set(`own ${index}`, secret);
  mask.set("grant", lease.grant);
  const beat = async (signal: AbortSignal): Promise<BeatAnswer> => {
    const load = await deps.load();
    const answer = await client.heartbeat(build, { fence, load }, { signal });
    mask.set("grant", answer.grant);
    return answer;
  };
  const heartbeat = new Heartbeat({ beat, log }, lease.grant, config.timing);
  const done = new AbortController();
  const over = endOfSpeech(heartbeat, stopping, done.signal);
  const output = new LogStream(
    {
      send: (offset, bytes, signal) =>
        client.appendLog(build, { fence, offset }, bytes, { signal }),
      mask,
      log,
    },
    over,
  );
  const id = `${build}-${lease.attempt}-${fence}`;
  try {
    const sandbox = printingTo(output, deps.sandbox);
    const work = { ...deps, sandbox, log, mask, heartbeat, output, lease, id };
    const ending = await doWork(work, config, stopping);
    const failure = ending.type === "failed" ? ending.failure : undefined;
    log.info({ ending: ending.type, failure }, "build ended");
    const told = await report(work, over, ending);
    return told.type === "failed" ? told.failure : null;
  } finally {
    done.abort();
    await heartbeat.stop();
    await removeTree(`${config.scratch}/${id}`, config.owner.searchPath);
  }
}

interface Work extends AttemptDeps {
  readonly mask: SecretMask;
  readonly heartbeat: Heartbeat;
  readonly output: LogStream;
  readonly lease: Lease;
  readonly id: string;
}

/** The work itself, ended by whichever comes first; the log is complete when it returns. */
async function doWork(work: Work, config: AttemptConfig, stopping: AbortSignal): Promise<Ending> {
  const { heartbeat, output } = work;
  const signal = AbortSignal.any([heartbeat.lost, heartbeat.cancelled, stopping]);
  let ending: Ending;
  try {
    ending = { type: "published", published: await makeArtifact(work, config, signal) };
  } catch (error) {
    ending = judge(work, error, stopping);
    // The control plane writes the reason into the log, with what becomes of the build.
    if (ending.type === "failed") work.log.warn({ error }, "build failed");
    if (ending.type === "cancelled") await output.note("The build was cancelled.");
  }
  await output.close();
  return ending;
}

function judge({ heartbeat, mask }: Work, error: unknown, stopping: AbortSignal): Ending {
  if (heartbeat.lost.aborted) return { type: "lost" };
  if (heartbeat.cancelled.aborted) {
    // Something still runs: that isn't proved dead, and nobody says that it is. The control plane ends
    // the build at its deadline.
    const runs = error instanceof ShoalError && error.code === "processes_left";
    return runs ? { type: "lost" } : { type: "cancelled" };
  }
  if (!stopping.aborted) return { type: "failed", failure: failureOf(error, mask) };
  const message = "The builder was stopped during the build.";
  return { type: "failed", failure: { code: "builder_stopping", message, blame: "system" } };
}

async function makeArtifact(
  work: Work,
  config: AttemptConfig,
  signal: AbortSignal,
): Promise<Published> {
  const { lease, output } = work;
  const startedAtMs = Date.now();
  const remote = parseRemote(lease.remoteUrl);
  const workspace = await makeWorkspace(config.scratch, work.id, config.owner);
  await giveSecrets(work, config, workspace);
  await output.note(`Checking ${lease.commit} out of ${remote.publicUrl}`);
  await checkoutWithin(work, config.owner.searchPath, workspace, {
    remote,
    commit: lease.commit,
    folder: workspace.folders.source,
    signal,
  });
  await giveToBuild(workspace, config.owner);
  const environment = {
    SHOAL_BUILD: String(lease.build),
    SHOAL_PROJECT: lease.project,
    SHOAL_COMMIT: lease.commit,
  };
  if (lease.prepare !== null) {
    const { owner } = config;
    const input = { lease, prepare: lease.prepare, workspace, owner, id: work.id };
    await prepareWorkspace(work, { ...input, environment, output, signal });
    signal.throwIfAborted();
  }
  await output.note(`Running ${lease.buildCommand}`);
  await runBuild(work, workspace, environment, signal);
  signal.throwIfAborted();
  await testBuild(work, workspace, environment, signal);
  const artifact = await findArtifact(workspace.folders.source, lease.artifactPath);
  await output.note(`Publishing ${lease.artifactPath}`);
  const published = await work.publish({
    path: artifact,
    lease,
    remoteUrl: remote.publicUrl,
    startedAtMs,
    grant: () => work.heartbeat.grant,
    signal,
  });
  const { artifactBytes, bytesUploaded } = published;
  await output.note(
    `Published ${published.artifact}: ${artifactBytes} bytes, ${bytesUploaded} of them new`,
  );
  return published;
}

/** What is read is masked from then on, whether or not it can be given. */
async function giveSecrets(
  { lease, mask }: Work,
  { secretsDir, owner }: AttemptConfig,
  workspace: Workspace,
): Promise<void> {
  const secrets = await readProjectSecrets(secretsDir, lease.project);
  for (const { name, bytes } of secrets) mask.set(`file ${name}`, bytes);
  await placeSecrets(secrets, workspace.folders.secrets, owner.uid);
}

/** A checkout that stops when the repository is larger than the build may be, or the disk is full. */
async function checkoutWithin(
  work: Work,
  searchPath: string,
  workspace: Workspace,
  input: CheckoutInput,
): Promise<void> {
  const tooMuch = new AbortController();
  const watch = watchUsage(work, {
    folder: workspace.folder,
    diskBytesMax: work.lease.limits.diskBytesMax,
    memoryBytesMax: Number.POSITIVE_INFINITY,
    group: null,
    rootPid: () => undefined,
    searchPath,
  });
  void watch.breach.then((breach) => tooMuch.abort(checkoutBreach(breach, work.lease.limits)));
  try {
    await checkout(work, { ...input, signal: AbortSignal.any([input.signal, tooMuch.signal]) });
  } finally {
    await watch.stop();
  }
}

/** A sandbox whose commands have printed all that they have to say when they are over. */
function printingTo(output: LogStream, sandbox: Sandbox): Sandbox {
  return {
    kind: sandbox.kind,
    describe: sandbox.describe,
    run: async (run) => {
      try {
        return await sandbox.run(run);
      } finally {
        await output.endOfCommand();
      }
    },
  };
}

async function runBuild(
  work: Work,
  workspace: Workspace,
  environment: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  const { lease, output } = work;
  const end = await work.sandbox.run({
    id: work.id,
    workspace: workspace.folder,
    folders: workspace.folders,
    command: lease.buildCommand,
    environment,
    limits: lease.limits,
    proxyFolder: null,
    onOutput: (bytes) => output.append(bytes),
    signal,
  });
  requireSuccess(end, lease.limits);
}

/** Runs the project's test stage, when it has one. */
async function testBuild(
  work: Work,
  workspace: Workspace,
  environment: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  const { lease, output, client, sandbox, mask } = work;
  if (lease.test === null) return;
  const deps: TestDeps = {
    sandbox,
    mask,
    note: (text) => output.note(text),
    keep: async (report) => {
      const { build, fence } = lease;
      const call = () => client.reportTests(build, { fence, report }, { signal });
      await retry(call, { signal, maxMs: buildEndMsMax });
    },
  };
  await runTests(deps, {
    id: `${work.id}-test`,
    workspace: workspace.folder,
    folders: workspace.folders,
    environment,
    limits: lease.limits,
    onOutput: (bytes) => output.append(bytes),
    signal,
    test: lease.test,
  });
  signal.throwIfAborted();
}

/** When nothing may or can be said any more: the lease is lost, or a stop has lasted too long. */
function endOfSpeech(heartbeat: Heartbeat, stopping: AbortSignal, done: AbortSignal): AbortSignal {
  const late = new AbortController();
  const begin = (): void => {
    setTimeout(() => late.abort(), builderStopReportMsMax).unref();
  };
  if (stopping.aborted) begin();
  else stopping.addEventListener("abort", begin, { once: true, signal: done });
  return AbortSignal.any([heartbeat.lost, late.signal]);
}

/** Says how it ended; tried until it is heard, refused, or nothing can be said any more. Never rejects. */
async function report(work: Work, over: AbortSignal, ending: Ending): Promise<Ending> {
  const { heartbeat, log } = work;
  try {
    await say(work, over, ending);
    return ending;
  } catch (error) {
    log.warn({ error, ending: ending.type }, "the build's end wasn't heard");
    if (!(error instanceof ShoalError) || error.retryable || ending.type === "cancelled")
      return ending;
    // Refused for good: cancelled a moment before, which a beat tells, or not acceptable.
    await heartbeat.beatNow();
    if (heartbeat.lost.aborted) return ending;
    const failure = {
      ...failureOf(keyRefusal(error) ?? error, work.mask),
      blame: "system",
    } as const;
    const instead: Ending = heartbeat.cancelled.aborted
      ? { type: "cancelled" }
      : { type: "failed", failure };
    await say(work, over, instead).catch((again: unknown) =>
      log.warn({ error: again, ending: instead.type }, "nor was this"),
    );
    return instead;
  }
}

async function say({ client, lease }: Work, signal: AbortSignal, ending: Ending): Promise<void> {
  const { build, fence } = lease;
  const call = async (): Promise<void> => {
    if (ending.type === "published") {
      await client.publish(build, { fence, ...ending.published }, { signal });
    }
    if (ending.type === "failed") {
      await client.fail(build, { fence, failure: ending.failure }, { signal });
    }
    if (ending.type === "cancelled") {
      // Every way here went through a kill that waited until nothing was left, or nothing was started.
      await client.cancelled(build, { fence, proof: { kind: "noProcessLeft" } }, { signal });
    }
  };
  await retry(call, { signal, maxMs: buildEndMsMax });
}
