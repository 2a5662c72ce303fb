// Puts a seeder together. Everything that is started is given to the lifecycle right away.
import { type Client, createClient } from "@shoal/api/client";
import { chunkTrustedMs, trustStateBytesMax } from "@shoal/core/limits";
import { Prng } from "@shoal/core/prng";
import { kibibyte, mebibyte } from "@shoal/core/units";
import { StateFile } from "@shoal/daemon/atomic-file";
import type { DaemonContext } from "@shoal/daemon/daemon";
import type { Log } from "@shoal/daemon/log";
import { bulkConfigOf } from "@shoal/peer/bulk-config";
import { createPeerNode } from "@shoal/peer/node";
import type { PeerNode } from "@shoal/peer/peer-node";
import type { BlobStore } from "@shoal/store/blob-store";
import { openChunkStore } from "@shoal/store/chunk-store";
import { openContentPool, type ContentWork } from "@shoal/store/content-pool";
import { type Certificate, createCertificate } from "@shoal/trust/certificate";
import { loadOrCreateKey, type KeyFile } from "@shoal/trust/key-file";
import { MemberKeeper } from "@shoal/trust/member-keeper";
import { swarmRoles, verifyPassport } from "@shoal/trust/passport";
import { TrustKeeper } from "@shoal/trust/trust-keeper";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { openBlobs } from "./region/open-blobs.ts";
import { createApp, type SeederDeps } from "./app.ts";
import { Changes } from "./changes.ts";
import type { SeederConfig } from "./config.ts";
import { RegionMembership } from "./control/region-membership.ts";
import { startControlLoops } from "./control/loops.ts";
import { Goals } from "./goals.ts";
import { Admissions } from "./hosts/admissions.ts";
import { HostAnswers } from "./hosts/host-answers.ts";
import { Joins } from "./hosts/joins.ts";
import { HostTable } from "./hosts/host-table.ts";
import { LeaseChecks } from "./ingest/lease-checks.ts";
import { Uploads } from "./ingest/uploads.ts";
import { MemberTable } from "./member-table.ts";
import { ArtifactFiles } from "./region/artifact-files.ts";
import { RegionStore } from "./region/region-store.ts";
import { isNamedFor } from "./routes/artifacts.ts";
import { Callers } from "./routes/callers.ts";
import { startServer } from "./server.ts";

export interface SeederInput extends DaemonContext {
  readonly now: () => number;
  /** For choices that need not be secret: which peers to hand out. */
  readonly seed: number;
}

const goalsBytesMax = 256 * mebibyte;
const membershipBytesMax = mebibyte;
const memberBytesMax = 64 * kibibyte;
const admissionsBytesMax = 16 * mebibyte;

/** Starts everything; answers what the ready line tells. */
export async function startSeeder(
  input: SeederInput,
  config: SeederConfig,
): Promise<{ url: string; peerId: string; swarmAddresses: readonly string[] }> {
  const { now, log, lifecycle } = input;
  const state = await openState(input, config);
  const { key, client, member, membership, trust, goals, admissions, region } = state;
  const work = openContentPool();
  lifecycle.defer("threads", () => work.close());
  const opened = await openBlobs(config);
  lifecycle.defer("blobs", () => opened.close());
  const store = await openStore(opened.blobs, config.cacheBytesMax, work, log);
  const certificate = await createCertificate(key);
  const node = await startNode(
    { key, certificate, member, membership, goals, trust, now, log },
    config,
  );
  lifecycle.defer("swarm", () => node.stop());

  const deps: SeederDeps = {
    store,
    uploads: new Uploads(),
    leases: new LeaseChecks((build, fence) => client.seeder.checkLease(build, fence), now),
    goals,
    answers: new HostAnswers({
      goals,
      store,
      seeders: () => membership.seeders(),
      trustEdition: () => trust.edition(),
    }),
    hosts: new HostTable(),
    members: new MemberTable(new Prng(input.seed)),
    callers: new Callers({ trust, now, region }),
    changes: new Changes(),
    trust,
    swarmSeeders: () => [
      { peerId: key.peerId, swarmAddresses: node.addresses() },
      ...membership.seeders().filter(({ peerId }) => peerId !== key.peerId),
    ],
    joins: new Joins({
      askControlPlane: (joining, signal) => client.seeder.passport(joining, { signal }),
      admissions,
      tellAdmissions: (signal) =>
        client.seeder.admissions({ items: [...admissions.untold()] }, { signal }),
      key,
      delegation: () => membership.delegation(),
      region: () => membership.region() ?? "",
      now,
    }),
    now,
    log,
  };
  const server = await startServer(createApp(deps).fetch, {
    host: config.host,
    port: config.port,
    certificate,
  });
  lifecycle.defer("https", () => server.stop());
  const url =
    config.advertisedUrl ??
    `https://${config.host.includes(":") ? `[${config.host}]` : config.host}:${server.port}`;
  const loops = startControlLoops(
    { ...deps, client, node, member, membership, admissions },
    { url, dropAfterMs: config.dropAfterMs },
  );
  lifecycle.defer("loops", () => loops.stop());
  deps.changes.listen(loops);
  return { url, peerId: key.peerId, swarmAddresses: node.addresses() };
}

interface SeederState {
  readonly key: KeyFile;
  /** Calls as the member that this seeder is. */
  readonly client: Client;
  readonly member: MemberKeeper;
  readonly membership: RegionMembership;
  readonly trust: TrustKeeper;
  readonly goals: Goals;
  readonly admissions: Admissions;
  /** Null until the control plane has said it once. */
  readonly region: () => string | null;
}

/** What this seeder is and knows, from disk. */
async function openState(
  { now, log }: Pick<SeederInput, "now" | "log">,
  config: SeederConfig,
): Promise<SeederState> {
  await mkdir(config.stateDir, { recursive: true });
  const key = await loadOrCreateKey(join(config.stateDir, "seeder.jwk"));
  const client = createClient({
    url: config.controlPlaneUrl,
    token: () => member.callProof(),
    renewToken: (...refusal) => member.rejoin(...refusal),
  });
  const member = new MemberKeeper(
    {
      key,
      client: () => client.members,
      file: new StateFile(join(config.stateDir, "member.json"), memberBytesMax),
      now,
      random: Math.random,
      log,
    },
    { role: "seeder", name: config.name, joinToken: config.joinToken },
  );
  await member.load();
  const membership = new RegionMembership({
    file: new StateFile(join(config.stateDir, "membership.json"), membershipBytesMax),
    log,
  });
  await membership.load();
  const region = (): string | null => membership.region();
  const trust = await TrustKeeper.open(
    {
      file: new StateFile(join(config.stateDir, "trust.json"), trustStateBytesMax),
      now,
      region,
      log,
    },
    config,
  );
  const goals = new Goals({
    file: new StateFile(join(config.stateDir, "goals.json"), goalsBytesMax),
    trust: () => trust.document(),
    now,
    region,
    log,
  });
  await goals.load();
  const admissions = new Admissions({
    file: new StateFile(join(config.stateDir, "admissions.json"), admissionsBytesMax),
    self: key.peerId,
    region,
    seeders: () => membership.seeders(),
    now,
    log,
  });
  await admissions.load();
  return { key, client, member, membership, trust, goals, admissions, region };
}

async function openStore(
  blobs: BlobStore,
  cacheBytesMax: number,
  work: ContentWork,
  log: Log,
): Promise<RegionStore> {
  const store = new RegionStore(
    await openChunkStore(blobs, { cacheBytesMax, work, trustedMs: chunkTrustedMs }),
    new ArtifactFiles(blobs),
  );
  const { held, damaged } = await store.load();
  if (damaged.length > 0) log.warn({ damaged }, "artifacts lost chunks and are pulled again");
  log.info({ held, chunks: store.chunks.chunksCount }, "opened the region's store");
  return store;
}

interface NodeInput {
  readonly key: KeyFile;
  readonly certificate: Certificate;
  readonly member: MemberKeeper;
  readonly membership: RegionMembership;
  readonly goals: Goals;
  readonly trust: TrustKeeper;
  readonly now: () => number;
  readonly log: Log;
}

function startNode(
  { key, certificate, member, membership, goals, trust, now, log }: NodeInput,
  config: SeederConfig,
): Promise<PeerNode> {
  return createPeerNode(
    {
      key,
      certificate,
      passport: () => member.passport(),
      verifyPassport: (passport, peerId) =>
        verifyPassport(passport, trust.document(), {
          nowMs: now(),
          peerId,
          roles: swarmRoles,
          isRevoked: trust.isRevoked,
        }),
      isRevoked: trust.isRevoked,
      allows: (artifact, passport) =>
        passport.region === membership.region() && isNamedFor({ goals }, artifact, passport),
      log,
    },
    { listen: config.swarmListen, bulk: bulkConfigOf(config), seeder: true },
  );
}
