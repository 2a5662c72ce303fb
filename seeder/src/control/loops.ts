// The loops between a seeder and the control plane: register and renew, follow the plan, report, and
// clean up. Each goes on by itself when the control plane is away and comes back.
import type { Client } from "@shoal/api/client";
import type { Plan } from "@shoal/api/seeder";
import { createSeederClient, type SeederClient } from "@shoal/api/seeder-client";
import { ShoalError } from "@shoal/core/error";
import type { ArtifactCid, PeerId } from "@shoal/core/ids";
import {
  goalPollMs,
  joinTokensMs,
  longPollMsMax,
  reportDebounceMsMax,
  reportDebounceMsMin,
} from "@shoal/core/limits";
import { minuteMs } from "@shoal/core/units";
import { startLoop, type Loop } from "@shoal/daemon/loop";
import type { PeerNode } from "@shoal/peer/peer-node";
import type { MemberKeeper } from "@shoal/trust/member-keeper";
import { createPinnedFetch, type PinnedFetch } from "@shoal/trust/pinned-fetch";
import type { SeederDeps } from "../app.ts";
import { artifactsOf } from "../goals.ts";
import type { Admissions } from "../hosts/admissions.ts";
import { sumServices } from "../hosts/service-sums.ts";
import { Replicator } from "../region/replicator.ts";
import { Retention } from "../region/retention.ts";
import { SwarmSeeds } from "../swarm-seeds.ts";
import type { RegionMembership } from "./region-membership.ts";

type Source = Plan["artifacts"][number]["sources"][number];

export interface LoopsDeps extends SeederDeps {
  readonly client: Client;
  readonly node: Pick<PeerNode, "addresses" | "join">;
  readonly member: Pick<MemberKeeper, "call" | "renewSoon">;
  readonly membership: RegionMembership;
  readonly admissions: Admissions;
}

export interface LoopsConfig {
  readonly url: string;
  readonly dropAfterMs: number;
}

export interface ControlLoops {
  /** Something changed that the control plane should hear of soon. */
  report(): void;
  /** Something changed that the swarm should be served or not served any more. */
  serve(): void;
  stop(): Promise<void>;
}

/** Renewed long before it ends, and so that a restored control plane learns of our epoch soon. */
const registerIntervalMs = 5 * minuteMs;
const cleanIntervalMs = 10 * minuteMs;
/** Between two long polls: nothing is lost meanwhile, the next one names what is known. */
const planPauseMs = 25;

export function startControlLoops(deps: LoopsDeps, config: LoopsConfig): ControlLoops {
  const running = new Loops(deps, config);
  return {
    report: () => running.report(),
    serve: () => running.serve.wake(),
    stop: () => running.stop(),
  };
}

class Loops {
  readonly #deps: LoopsDeps;
  readonly #config: LoopsConfig;
  readonly #fetches: Map<PeerId, PinnedFetch> = new Map();
  readonly #register: Loop;
  readonly #reports: Loop;
  readonly #replicate: Loop;
  readonly serve: Loop;
  readonly #rest: readonly Loop[];
  #plan: Plan | null = null;
  /** Of the newest trust that the control plane showed us, taken or not. */
  #trustEdition = "";
  #pending: NodeJS.Timeout | undefined;
  /** How long counting and reporting took the last time. */
  #reportMs = 0;

  constructor(deps: LoopsDeps, config: LoopsConfig) {
    this.#deps = deps;
    this.#config = config;
    const { log, changes, store, node } = deps;
    const onHeld = (): void => changes.held();
    const seeds = new SwarmSeeds(node, store);
    const connect = this.#connect.bind(this);
    const replicator = new Replicator({ ...deps, connect, onHeld });
    const retention = new Retention({ ...deps, onDropped: onHeld }, config.dropAfterMs);
    const every = (name: string, intervalMs: number, run: (signal: AbortSignal) => unknown): Loop =>
      startLoop({ name, intervalMs, backoffMsMax: goalPollMs, log, run });

    this.#register = every("register", registerIntervalMs, (signal) => this.#registerOnce(signal));
    this.serve = every("serve", minuteMs, () => seeds.serve(servedArtifacts(deps)));
    this.#replicate = every("replicate", minuteMs, async (signal) => {
      const damaged = store.dropDamaged();
      if (damaged.length > 0) {
        log.error({ damaged }, "artifacts have damaged chunks and are pulled again");
        changes.held();
      }
      await replicator.pull(this.#plan?.artifacts ?? [], signal);
    });
    this.#reports = every("report", goalPollMs, (signal) => this.#reportOnce(signal));
    this.#rest = [
      every("plan", planPauseMs, (signal) => this.#followPlan(signal)),
      every("join-tokens", joinTokensMs, (signal) => this.#exchangeJoins(signal)),
      every("clean", cleanIntervalMs, async () => {
        deps.members.expire(deps.now());
        await retention.run(this.#namedArtifacts());
      }),
    ];
  }

  report(): void {
    // Where there are so many hosts that counting takes long, it may take a tenth of the time.
    const debounceMs = Math.min(
      reportDebounceMsMax,
      Math.max(reportDebounceMsMin, 10 * this.#reportMs),
    );
    this.#pending ??= setTimeout(() => {
      this.#pending = undefined;
      this.#reports.wake();
    }, debounceMs);
  }

  async stop(): Promise<void> {
    clearTimeout(this.#pending);
    const loops = [this.#register, this.serve, this.#replicate, this.#reports, ...this.#rest];
    await Promise.all(loops.map((loop) => loop.stop()));
    await Promise.all([...this.#fetches.values()].map((fetch) => fetch.close()));
  }

  #connect(source: Source): SeederClient {
    const { url, peerId } = source;
    const fetch = this.#fetches.get(peerId) ?? createPinnedFetch({ peerId });
    this.#fetches.set(peerId, fetch);
    return createSeederClient({ url, fetch, token: () => this.#plan?.grant ?? "" });
  }

  async #registerOnce(signal: AbortSignal): Promise<void> {
    const { client, node, goals, member, membership, trust } = this.#deps;
    const { url } = this.#config;
    const swarmAddresses = [...node.addresses()];
    const { revocations } = trust.state();
    const facts = { url, swarmAddresses, goalEpochMax: goals.epochMax(), revocations };
    const isFirst = membership.region() === null;
    await member.call(() => membership.register(client, facts, signal), signal);
    if (isFirst) this.#reports.wake();
  }

  async #followPlan(signal: AbortSignal): Promise<void> {
    const { client, member, membership, goals, changes } = this.#deps;
    // Whose goals and artifacts these are is known only then.
    if (membership.region() === null) await this.#registerOnce(signal);
    const known = this.#plan === null ? {} : { known: this.#plan.version };
    const query = { ...known, waitMs: longPollMsMax };
    const plan = await member.call(() => client.seeder.plan(query, { signal }), signal);
    if (plan === null) return;
    // First: the goals may be signed with a key that only the newest trust document names.
    const isTrustNew = await this.#followTrust(plan.trustEdition, signal);
    const goalsBefore = goals.edition();
    try {
      await goals.apply(plan.goals);
    } finally {
      // Also when goals or seeders can't be saved: hosts shouldn't wait for our disk.
      this.#plan = plan;
      const isNew = await membership.takeSeeders(plan.seeders);
      if (isNew || isTrustNew || goals.edition() !== goalsBefore) changes.goals();
      this.#replicate.wake();
      this.#reports.wake();
    }
  }

  /** Answers whether there was something new to believe. */
  async #followTrust(edition: string, signal: AbortSignal): Promise<boolean> {
    const { client, member, trust } = this.#deps;
    if (edition === trust.edition() || edition === this.#trustEdition) return false;
    const isNew = await trust.take(await client.seeder.trust({ signal }));
    this.#trustEdition = edition;
    // Passport and delegation may be of a key that is on its way out; and the control plane may have
    // lost a revocation that we know.
    member.renewSoon();
    this.#register.wake();
    return isNew;
  }

  /** Tells whom we let in, then hears what the tokens are good for. */
  async #exchangeJoins(signal: AbortSignal): Promise<void> {
    const { client, admissions, membership } = this.#deps;
    if (membership.region() === null) return;
    const heard = admissions.untold();
    if (heard.length > 0) await client.seeder.admissions({ items: [...heard] }, { signal });
    const { items } = await client.seeder.joinTokens({ signal });
    await admissions.takeTokens(items);
    await admissions.told(heard);
  }

  async #reportOnce(signal: AbortSignal): Promise<void> {
    const { client, store, goals, hosts, now, membership } = this.#deps;
    if (membership.region() === null) return; // Nobody would know whose report it is.
    const startedAtMs = performance.now();
    const known = hosts.hosts(now());
    const ours = goals.goals().map(({ goal }) => goal);
    const services = sumServices(ours, known, now());
    this.#reportMs = performance.now() - startedAtMs;
    const held = store.held().map(({ cid }) => cid);
    const report = { held, goalEpochMax: goals.epochMax(), hosts: known.length, services };
    try {
      await client.seeder.report(report, { signal });
    } catch (error) {
      // A control plane that was restored from a backup may never have heard of us.
      if (error instanceof ShoalError && error.code === "seeder_not_registered")
        this.#register.wake();
      throw error;
    }
  }

  #namedArtifacts(): ReadonlySet<ArtifactCid> | null {
    if (this.#plan === null) return null;
    const planned = this.#plan.artifacts.map(({ cid }) => cid);
    return goalArtifacts(this.#deps).union(new Set(planned));
  }
}

/** What hosts may fetch: held artifacts that a goal names. */
function servedArtifacts(deps: LoopsDeps): ReturnType<LoopsDeps["store"]["held"]> {
  const named = goalArtifacts(deps);
  return deps.store.held().filter(({ cid }) => named.has(cid));
}

function goalArtifacts(deps: LoopsDeps): Set<ArtifactCid> {
  return new Set(deps.goals.goals().flatMap(({ goal }) => artifactsOf(goal)));
}
