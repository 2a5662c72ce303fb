// Puts the agent together: goals in, releases fetched and run, reports out. Everything that is started
// is given to the lifecycle right away. What an earlier life knew is acted on before anybody answers.
import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  goalPollMs,
  goalsAgainMs,
  firstJoinMsMax,
  passportPollMs,
  programStopOnExitMsMax,
  trustStateBytesMax,
} from "@shoal/core/limits";
import { digest, toHex } from "@shoal/core/digest";
import { kibibyte, mebibyte } from "@shoal/core/units";
import { StateFile } from "@shoal/daemon/atomic-file";
import type { DaemonContext } from "@shoal/daemon/daemon";
import { lockFolder } from "@shoal/daemon/folder-lock";
import { startLoop } from "@shoal/daemon/loop";
import { giveBackMemory } from "@shoal/daemon/spare-memory";
import { bulkConfigOf } from "@shoal/peer/bulk-config";
import { createPeerNode } from "@shoal/peer/node";
import type { BudgetConfig } from "@shoal/peer/budgets";
import type { PeerCandidate, PeerNode } from "@shoal/peer/peer-node";
import { readBootId } from "@shoal/store/machine-facts";
import { type Certificate, createCertificate } from "@shoal/trust/certificate";
import { loadOrCreateKey, type KeyFile } from "@shoal/trust/key-file";
import { swarmRoles, verifyPassport } from "@shoal/trust/passport";
import { readSecretsKey } from "@shoal/trust/sealed-secret";
import { TrustKeeper } from "@shoal/trust/trust-keeper";
import { Artifacts } from "./artifacts/artifacts.ts";
import { releasesName, type AgentConfig } from "./config.ts";
import { EventFile } from "./event-file.ts";
import { HostGoals } from "./goals.ts";
import { KnownPeers } from "./known-peers.ts";
import { PassportKeeper } from "./join.ts";
import { type AgentMetrics, createAgentMetrics, serveMetrics } from "./metrics-endpoint.ts";
import { followPauses, pausedArtifacts, readPauses, type PauseTarget } from "./pauses.ts";
import { startRepairs } from "./repair.ts";
import { Reporter } from "./report.ts";
import { startResting } from "./resting.ts";
import { requireReachable } from "./run-user.ts";
import { Seeders } from "./seeders.ts";
import { Services } from "./services.ts";
import { programGroups } from "./supervise/program-groups.ts";
import type { ProgramUser } from "./supervise/program.ts";

/** What `main.ts` reads from the process itself. */
export interface Machine {
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
  /** Monotonic milliseconds. */
  readonly monotonic: () => number;
  readonly random: () => number;
  readonly isRoot: boolean;
  readonly nodePath: string;
  /** Calls back whenever a person asks that the configuration be read again. */
  readonly onReload: (listener: (read: () => AgentConfig) => void) => void;
}

interface Agent {
  readonly machine: Machine;
  readonly context: DaemonContext;
  readonly config: AgentConfig;
  readonly key: KeyFile;
  readonly trust: TrustKeeper;
  readonly certificate: Certificate;
  readonly seeders: Seeders;
  readonly passport: PassportKeeper;
  readonly goals: HostGoals;
  readonly metrics: AgentMetrics;
}

const passportFileBytesMax = 64 * kibibyte;
const goalsFileBytesMax = 64 * mebibyte;
const peersFileBytesMax = mebibyte;
/** Programs that must end with the agent are killed well before. */
const stopServicesMsMax = 2 * programStopOnExitMsMax;

/** Starts everything; answers what the ready line tells. */
export async function startAgent(
  context: DaemonContext,
  config: AgentConfig,
  machine: Machine,
): Promise<Record<string, unknown>> {
  await mkdir(config.stateDir, { recursive: true });
  // Programs run as another user and must be able to pass, not to look.
  await chmod(config.stateDir, 0o711);
  // Two agents would each start every program.
  const lock = await lockFolder("agent", config.stateDir);
  context.lifecycle.defer("state folder's lock", () => lock.release());
  const agent = await openAgent(context, config, machine);
  // The swarm node takes its zone from the passport. Without a seeder the host goes on with what it has.
  const limit = AbortSignal.any([context.signal, AbortSignal.timeout(firstJoinMsMax)]);
  await agent.passport.ensure(limit).catch((error: unknown) => {
    context.log.warn({ error }, "not joined yet; trying on");
  });
  context.signal.throwIfAborted();
  const events = await EventFile.open({ now: machine.now, log: context.log }, config.stateDir);
  context.lifecycle.defer("events", () => events.close());
  const node = await startNode(agent, events);
  context.lifecycle.defer("swarm", () => node.stop());
  const artifacts = await startConverging(agent, node);
  const stopResting = startResting({
    isFetching: () => artifacts.isFetching,
    sentBytes: () => node.traffic().sentBytes,
    giveBack: giveBackMemory,
  });
  context.lifecycle.defer("resting", async () => stopResting());
  machine.onReload((read) => reloadBudgets(agent, node, read));
  const { hostId: host } = config;
  const facts = { host, peerId: agent.key.peerId, swarmAddresses: node.addresses() };
  if (config.metricsPort === undefined) return facts;
  const served = await serveMetrics(
    {
      metrics: agent.metrics,
      sources: { traffic: () => node.traffic(), reusedBytes: () => artifacts.reusedBytes },
    },
    { host: config.metricsHost, port: config.metricsPort },
  );
  context.lifecycle.defer("metrics", () => served.stop());
  return { ...facts, metricsPort: served.port };
}

function budgetsOf(config: AgentConfig): BudgetConfig {
  const { uploadBytesPerSecondMax: uploadBytesPerSecond } = config;
  const { downloadBytesPerSecondMax: downloadBytesPerSecond } = config;
  return { uploadBytesPerSecond, downloadBytesPerSecond };
}

/** Budgets are the only settings that hold at once; a faulty configuration changes nothing. */
function reloadBudgets({ context }: Agent, node: PeerNode, read: () => AgentConfig): void {
  try {
    const budgets = budgetsOf(read());
    node.setBudgets(budgets);
    context.log.info(budgets, "budgets read again");
  } catch (error) {
    context.log.error({ error }, "the configuration can't be read again; nothing changes");
  }
}

/** What this host is and knows, from disk. */
async function openAgent(
  context: DaemonContext,
  config: AgentConfig,
  machine: Machine,
): Promise<Agent> {
  const { log, lifecycle } = context;
  const { now, random } = machine;
  const { stateDir, region } = config;
  const key = await loadOrCreateKey(join(stateDir, "host.jwk"));
  const trustState = new StateFile(join(stateDir, "trust.json"), trustStateBytesMax);
  const trust = await TrustKeeper.open(
    { file: trustState, now, region: () => region, log },
    config,
  );
  const passport: PassportKeeper = new PassportKeeper(
    {
      file: new StateFile(join(stateDir, "passport.json"), passportFileBytesMax),
      seeders: () => seeders,
      trust,
      now,
      random,
      log,
    },
    { ...config, peerId: key.peerId },
  );
  const certificate = await createCertificate(key);
  const seeders = new Seeders({ certificate, passport: () => passport.text() }, config.seeders);
  lifecycle.defer("seeders", () => seeders.close());
  await passport.load();
  const goals = new HostGoals({
    file: new StateFile(join(stateDir, "goals.json"), goalsFileBytesMax),
    seeders,
    trust,
    now,
    region,
    passport: () => passport.facts(),
    log,
  });
  await goals.load();
  return {
    machine,
    context,
    config,
    key,
    certificate,
    trust,
    seeders,
    passport,
    goals,
    metrics: createAgentMetrics(),
  };
}

function startNode(
  { metrics, key, certificate, passport, goals, trust, machine, context, config }: Agent,
  events: EventFile,
): Promise<PeerNode> {
  return createPeerNode(
    {
      key,
      certificate,
      passport: () => passport.present(),
      verifyPassport: (shown, peerId) =>
        verifyPassport(shown, trust.document(), {
          nowMs: machine.now(),
          peerId,
          roles: swarmRoles,
          isRevoked: trust.isRevoked,
        }),
      isRevoked: trust.isRevoked,
      allows: (artifact, { region, environment }) =>
        region === config.region && goals.names(artifact, environment),
      requestAnswered: (ms) => metrics.requestAnswered(ms),
      log: context.log,
      onEvent: (event) => events.add(event),
    },
    {
      listen: config.swarmListen,
      bulk: bulkConfigOf(config),
      budgets: budgetsOf(config),
      memoryBytesMax: config.memoryBytesMax,
      seeder: false,
    },
  );
}

async function startConverging(agent: Agent, node: PeerNode): Promise<Artifacts> {
  const { context, config, machine, seeders, passport, goals, trust } = agent;
  const { log, lifecycle } = context;
  const { now, monotonic } = machine;
  const artifacts: Artifacts = new Artifacts(
    {
      node,
      knownPeers: await openKnownPeers(agent, node),
      seeders,
      statement: (cid) => goals.statement(cid),
      trust: () => trust.document(),
      now,
      monotonic,
      onHeld: (cid) => services.artifactHeld(cid),
      onLost: (cid) => services.artifactLost(cid),
      onFailed: (cid, code, message) => services.artifactFailed(cid, code, message),
      onChange: () => reporter.changed(),
      occupied: () => services.occupied(),
      log,
    },
    {
      dir: join(config.stateDir, releasesName),
      oldBytesMax: config.oldReleaseBytesMax,
      unfinishedBytesMax: config.unfinishedReleaseBytesMax,
    },
  );
  await artifacts.load();
  lifecycle.defer("artifacts", () => artifacts.stop());
  const services: Services = await openServices(agent, artifacts, () => reporter.changed());
  const reporter: Reporter = new Reporter({
    host: config.hostId,
    seeders,
    runners: () => services.runners(),
    fetches: () => artifacts.fetches(),
    describeFetch: (cid) => artifacts.describe(cid),
    hasJoined: () => passport.facts() !== null,
    log,
  });
  lifecycle.defer("report", () => reporter.stop());
  lifecycle.defer("services", () => services.stop(config.stopProgramsOnExit), stopServicesMsMax);
  await services.load();

  let paused = await readPauses(config.stateDir);
  const applyPauses = (): void => artifacts.pause(pausedArtifacts(paused, services.demands()));
  let converging: Promise<void> = Promise.resolve();
  // One at a time: goals and labels may change at once.
  const converge = (): Promise<void> => {
    const run = converging.then(async () => {
      await services.take(goals.goals());
      applyPauses();
      artifacts.want(services.wanted());
      reporter.changed();
    });
    converging = run.catch(() => undefined); // Who asked for it hears of its failure.
    return run;
  };
  await converge();
  startLoops(agent, artifacts, converge);
  const changed = (targets: readonly PauseTarget[]): void => {
    paused = targets;
    applyPauses();
    reporter.changed();
  };
  const pauses = followPauses({ changed, log }, config.stateDir, paused);
  lifecycle.defer("pauses", () => pauses.stop());
  return artifacts;
}

function startLoops(
  { context, config, passport, goals }: Agent,
  artifacts: Artifacts,
  converge: () => Promise<void>,
): void {
  const { log, lifecycle } = context;
  const joining = startLoop({
    name: "join",
    intervalMs: passportPollMs,
    backoffMsMax: goalPollMs,
    log,
    run: async (signal) => {
      // Labels come with the passport: a new one may select other goals.
      if (await passport.ensure(signal)) await converge();
    },
  });
  const following = startLoop({
    name: "goals",
    intervalMs: goalsAgainMs,
    backoffMsMax: goalPollMs / 2,
    log,
    run: async (signal) => {
      if (passport.facts() === null) await passport.ensure(signal);
      if (await goals.follow(signal)) await converge();
    },
  });
  const repairing = startRepairs({ artifacts, log }, config.stateDir);
  lifecycle.defer("repairs", () => repairing.stop());
  lifecycle.defer("goals", () => following.stop());
  lifecycle.defer("join", () => joining.stop());
}

async function openKnownPeers(
  { context, config }: Agent,
  node: PeerNode,
): Promise<() => readonly PeerCandidate[]> {
  const file = new StateFile(join(config.stateDir, "peers.json"), peersFileBytesMax);
  const knownPeers = new KnownPeers({ file, node, log: context.log });
  await knownPeers.start();
  context.lifecycle.defer("known peers", () => knownPeers.stop());
  return () => knownPeers.peers();
}

async function openServices(
  { config, context, machine }: Agent,
  artifacts: Artifacts,
  onChange: () => void,
): Promise<Services> {
  const { stateDir, hostId, runUid: uid, runGid: gid } = config;
  const user: ProgramUser | null = machine.isRoot ? { uid, gid } : null;
  const nodePath = config.nodePath ?? machine.nodePath;
  if (user !== null) {
    await requireReachable(join(stateDir, "releases"), user, "Choose another --state-dir");
    await requireReachable(nodePath, user, "Give --node-path a Node that everybody can reach");
  }
  const { portFirst: first, portLast: last } = config;
  const secretsKeys = await Promise.all(config.secretsKeyFiles.map(readSecretsKey));
  const bootId = await readBootId();
  // Known by its folder: several agents may run on one machine, for tests.
  const groups = programGroups(toHex(digest(Buffer.from(stateDir))).slice(0, 16));
  context.lifecycle.defer("control groups", () => groups.close());
  return new Services(
    {
      releaseDir: (release) => artifacts.treePath(release.artifact),
      isHeld: (cid) => artifacts.isHeld(cid),
      onChange,
      now: machine.monotonic,
      random: machine.random,
      log: context.log,
    },
    {
      dir: join(stateDir, "services"),
      hostId,
      ports: { first, last },
      user,
      nodePath,
      bootId,
      secretsKeys,
      groups,
    },
  );
}
