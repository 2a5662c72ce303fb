// The demo's story: three versions of a small program are built and deployed to a fleet of real
// processes on this machine; the third fails on its first host and never gets further.
import { ShoalError } from "@shoal/core/error";
import { minuteMs } from "@shoal/core/units";
import { removeTree } from "@shoal/store/tree-layout";
import { chmod, mkdir, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { once } from "node:events";
import { exitCodes } from "../exit-codes.ts";
import { thisMachine } from "../doctor/machine.ts";
import { readHosts } from "../commands/status.ts";
import { startFleet, type Fleet } from "./fleet.ts";
import type { DemoOptions } from "./options.ts";
import { makePlan } from "./plan.ts";
import { createProgress, type Progress } from "./progress.ts";
import { renderFacts, type DemoFacts } from "./report.ts";
import { requireGit, whyNoSandbox } from "./requirements.ts";
import { makeServicesPlan } from "./services-plan.ts";
import { renderServices } from "./services-report.ts";
import { tellServicesStory } from "./services-story.ts";
import {
  buildVersion,
  deployVersion,
  runs,
  type BuiltVersion,
  type StoryContext,
} from "./steps.ts";

/** Runs the demo and answers its exit status: 0 if and only if every host ended healthy on what it should run. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const interrupt = new AbortController();
  const stop = (): void =>
    interrupt.abort(new ShoalError("interrupted", "The demo was interrupted.", { blame: "local" }));
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  const progress = createProgress(process.stderr);
  const cleanup = new AsyncDisposableStack();
  cleanup.defer(() => progress.stop());
  try {
    const machine = thisMachine(options.searchPath);
    await requireGit(machine);
    const dir = await stateDir(options.dir, cleanup);
    const noSandbox = await whyNoSandbox(machine);
    if (noSandbox !== null) progress.note(noSandbox);
    const startedAt = performance.now();
    const fleet = await startFleet(
      { ...options, dir, sandbox: noSandbox === null ? "bubblewrap" : "none" },
      progress,
      interrupt.signal,
    );
    cleanup.defer(() => fleet.stop());
    if (options.services !== null) {
      const plan = await makeServicesPlan(options.services, fleet.dir, options.searchPath);
      const told = { client: fleet.client, plan, progress, signal: interrupt.signal };
      const facts = await tellServicesStory(told, startedAt);
      progress.stop();
      process.stdout.write(
        options.json ? `${JSON.stringify(facts)}\n` : `${renderServices(facts)}\n`,
      );
      if (options.keep) await keepRunning(fleet, "worker-01", 1, interrupt.signal);
      return facts.ok ? exitCodes.ok : exitCodes.failed;
    }
    const facts = await tellStory(fleet, options, progress, interrupt.signal, startedAt);
    progress.stop();
    process.stdout.write(options.json ? `${JSON.stringify(facts)}\n` : `${renderFacts(facts)}\n`);
    if (options.keep) {
      await keepRunning(fleet, facts.service, facts.builds[0]?.id ?? 1, interrupt.signal);
    }
    return facts.ok ? exitCodes.ok : exitCodes.failed;
  } finally {
    await cleanup.disposeAsync();
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}

async function tellStory(
  fleet: Fleet,
  options: DemoOptions,
  progress: Progress,
  signal: AbortSignal,
  startedAt: number,
): Promise<DemoFacts> {
  const { client } = fleet;
  const plan = await makePlan(options, fleet.dir);
  await client.projects.create(plan.project);
  await client.services.create(plan.service);
  const context: StoryContext = { client, plan, progress, signal, hosts: options.hosts };
  const built: BuiltVersion[] = [];
  const deploys: DemoFacts["deploys"][number][] = [];
  const versions: Record<string, string> = {};
  let expected = "";
  for (const { version, commit, fails } of plan.versions) {
    const build = await buildVersion(context, version, commit);
    built.push(build);
    if (!fails) expected = version;
    deploys.push(await deployVersion(context, build, versions, expected));
  }
  const { items: hosts } = await readHosts(client, undefined);
  const last = plan.versions.at(-1)?.fails === true ? built.at(-1) : undefined;
  const refusal = last === undefined ? null : await deployAgain(context, last);
  const healthy = hosts.filter((host) => runs(plan, host, versions, expected));
  return {
    ok:
      healthy.length === options.hosts &&
      deploys.every((deploy) => deploy.converged === options.hosts) &&
      refusal !== "",
    seconds: (performance.now() - startedAt) / 1000,
    service: plan.service.name,
    builds: built,
    deploys,
    hosts,
    versions,
    refusal,
  };
}

/** The failed release must not be deployed again; answers what the control plane said, "" if it allowed it. */
async function deployAgain({ client, plan }: StoryContext, build: BuiltVersion): Promise<string> {
  try {
    await client.services.deploy(plan.service.environment, plan.service.name, { build: build.id });
    return "";
  } catch (error) {
    if (error instanceof ShoalError && error.code === "release_quarantined") return error.message;
    throw error;
  }
}

async function stateDir(wanted: string | null, cleanup: AsyncDisposableStack): Promise<string> {
  if (wanted !== null) {
    const dir = resolve(wanted);
    await mkdir(dir, { recursive: true });
    return dir;
  }
  const dir = await mkdtemp(join(tmpdir(), "shoal-demo-"));
  // Builds, Postgres and programs run as other users: they must be able to pass, not to look.
  await chmod(dir, 0o711);
  // Releases are read-only: an ordinary user has to make them writable first.
  cleanup.defer(() => removeTree(dir));
  return dir;
}

async function keepRunning(
  fleet: Fleet,
  service: string,
  first: number,
  signal: AbortSignal,
): Promise<void> {
  process.stderr.write(
    [
      "",
      "Everything is still running; Ctrl-C ends it. In another terminal, in this folder:",
      "",
      `  export SHOAL_URL=${fleet.url} SHOAL_ADMIN_TOKEN_FILE=${fleet.tokenFile}`,
      "  npm run -s shoal -- status",
      "  npm run -s shoal -- hosts",
      `  npm run -s shoal -- build logs ${first}`,
      `  npm run -s shoal -- deploy ${service} ${first} --watch`,
      `  npm run -s shoal -- rollback ${service} --watch`,
      "",
      ...fleet.addresses.map((line) => `  ${line}`),
      `  state and logs: ${fleet.dir}`,
      "",
    ].join("\n"),
  );
  // Keeps this process alive: an abort listener alone doesn't.
  const alive = setInterval(() => {}, minuteMs);
  if (!signal.aborted) await once(signal, "abort");
  clearInterval(alive);
}
