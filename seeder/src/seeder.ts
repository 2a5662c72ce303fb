// Puts a seeder together. Everything that is started is given to the lifecycle right away.
import type { Client } from "@shoal/api/client";
import { Prng } from "@shoal/core/prng";
import { mebibyte } from "@shoal/core/units";
import { StateFile } from "@shoal/daemon/atomic-file";
import type { DaemonContext } from "@shoal/daemon/daemon";
import type { Log } from "@shoal/daemon/log";
import { createPeerNode } from "@shoal/peer/node";
import type { PeerNode } from "@shoal/peer/peer-node";
import type { BlobStore } from "@shoal/store/blob-store";
import { openChunkStore } from "@shoal/store/chunk-store";
import { openContentPool, type ContentWork } from "@shoal/store/content-pool";
import { createCertificate } from "@shoal/trust/certificate";
import { loadOrCreateKey, type KeyFile } from "@shoal/trust/key-file";
import { verifyPassport } from "@shoal/trust/passport";
import { readTrustFile } from "@shoal/trust/trust-file";
import type { TrustDocument } from "@shoal/trust/trust-document";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { openBlobs } from "./region/open-blobs.ts";
import { createApp, type SeederDeps } from "./app.ts";
import { Changes } from "./changes.ts";
import type { SeederConfig } from "./config.ts";
import { RegionMembership } from "./control/region-membership.ts";
import { startControlLoops } from "./control/loops.ts";
import { Goals } from "./goals.ts";
import { HostAnswers } from "./hosts/host-answers.ts";
import { HostTable } from "./hosts/host-table.ts";
import { Uploads } from "./ingest/uploads.ts";
import { MemberTable } from "./member-table.ts";
import { ArtifactFiles } from "./region/artifact-files.ts";
import { RegionStore } from "./region/region-store.ts";
import { isNamedFor } from "./routes/artifacts.ts";
import { Callers } from "./routes/callers.ts";
import { startServer } from "./server.ts";

export interface SeederInput extends DaemonContext {
  readonly client: Client;
  readonly now: () => number;
  /** For choices that need not be secret: which peers to hand out. */
  readonly seed: number;
}

const goalsBytesMax = 256 * mebibyte;
const membershipBytesMax = mebibyte;

/** Starts everything; answers what the ready line tells. */
export async function startSeeder(
  input: SeederInput,
  config: SeederConfig,
): Promise<{ url: string; peerId: string; swarmAddresses: readonly string[] }> {
  const { client, now, log, lifecycle } = input;
  await mkdir(config.stateDir, { recursive: true });
  const key = await loadOrCreateKey(join(config.stateDir, "seeder.jwk"));
  const trustDocument = await readTrustFile(config.trustFile, config.rootPublicKey, now());
  const trust = (): TrustDocument => trustDocument;
  const membership = new RegionMembership({
    file: new StateFile(join(config.stateDir, "membership.json"), membershipBytesMax),
    log,
  });
  await membership.load();
  const goals = new Goals({
    file: new StateFile(join(config.stateDir, "goals.json"), goalsBytesMax),
    trust,
    now,
    region: () => membership.region(),
    log,
  });
  await goals.load();
  const work = openContentPool();
  lifecycle.defer("threads", () => work.close());
  const opened = await openBlobs(config);
  lifecycle.defer("blobs", () => opened.close());
  const store = await openStore(opened.blobs, config.cacheBytesMax, work, log);
  const node = await startNode({ key, membership, goals, trust, now, log }, config);
  lifecycle.defer("swarm", () => node.stop());

  const deps: SeederDeps = {
    store,
    uploads: new Uploads(),
    goals,
    answers: new HostAnswers({ goals, store, seeders: () => membership.seeders() }),
    hosts: new HostTable(),
    members: new MemberTable(new Prng(input.seed)),
    callers: new Callers({ trust, now, region: () => membership.region() }),
    changes: new Changes(),
    trust,
    swarmSeeders: () => [
      { peerId: key.peerId, swarmAddresses: node.addresses() },
      ...membership.seeders().filter(({ peerId }) => peerId !== key.peerId),
    ],
    issuePassport: (joining) => client.seeder.passport(joining),
    now,
    log,
  };
  const certificate = await createCertificate(key);
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
    { ...deps, client, node, membership },
    { url, peerId: key.peerId, dropAfterMs: config.dropAfterMs },
  );
  lifecycle.defer("loops", () => loops.stop());
  deps.changes.listen(loops);
  return { url, peerId: key.peerId, swarmAddresses: node.addresses() };
}

async function openStore(
  blobs: BlobStore,
  cacheBytesMax: number,
  work: ContentWork,
  log: Log,
): Promise<RegionStore> {
  const store = new RegionStore(
    await openChunkStore(blobs, { cacheBytesMax, work }),
    new ArtifactFiles(blobs),
  );
  const { held, damaged } = await store.load();
  if (damaged.length > 0) log.warn({ damaged }, "artifacts lost chunks and are pulled again");
  log.info({ held, chunks: store.chunks.chunksCount }, "opened the region's store");
  return store;
}

interface NodeInput {
  readonly key: KeyFile;
  readonly membership: RegionMembership;
  readonly goals: Goals;
  readonly trust: () => TrustDocument;
  readonly now: () => number;
  readonly log: Log;
}

function startNode(
  { key, membership, goals, trust, now, log }: NodeInput,
  config: SeederConfig,
): Promise<PeerNode> {
  return createPeerNode(
    {
      key,
      passport: () => membership.passport(),
      verifyPassport: (passport, peerId) =>
        verifyPassport(passport, trust(), { nowMs: now(), peerId }),
      allows: (artifact, passport) =>
        passport.region === membership.region() && isNamedFor({ goals }, artifact, passport),
      log,
    },
    { listen: config.swarmListen, seeder: true },
  );
}
