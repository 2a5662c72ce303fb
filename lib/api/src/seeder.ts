// What seeders say to the control plane (one plan down, one report up).
import {
  joinTokensMax,
  ladderRungsMax,
  releasesCountedMax,
  revocationListsMax,
  switchHostsMax,
  troubledHostsMax,
  waitedPeersMax,
} from "@shoal/core/limits";
import { z } from "zod";
import {
  artifactCid,
  bytes,
  count,
  envelope,
  hostId,
  httpUrl,
  labels,
  millis,
  multiaddr,
  name,
  peerId,
  releaseId,
  rowId,
} from "./names.ts";
import { trustEdition } from "./trust.ts";

export const registerInput = z.strictObject({
  /** Where hosts, builders and other seeders reach it: https. */
  url: httpUrl,
  swarmAddresses: z.array(multiaddr).max(16),
  /** The highest goal epoch on its disk: a restored control plane must go above it. */
  goalEpochMax: count,
  /** Signed lists that a control plane that was restored from a backup may have lost. */
  revocations: z.array(envelope).max(revocationListsMax).readonly().default([]),
});
/**
 * `delegation` is leave to issue passports to hosts of the region; registering again before it ends
 * renews it. Name, region and peer id are those of the passport that the seeder calls with.
 */
export const registered = z.strictObject({ region: name, delegation: z.string() });

/** Of the grant that a builder pushes with. */
export const leaseCheckInput = z.strictObject({ fence: z.string().regex(/^[0-9]{1,19}$/) });

export const planQuery = z.strictObject({
  known: z.string().max(64).optional(),
  waitMs: z.coerce.number().int().min(0).max(10_000).default(0),
});
/** Everything that a seeder's region should have. The same plan has the same version. */
export const plan = z.strictObject({
  version: z.string(),
  region: name,
  /** Of what GET /seeder/trust answers now: to be asked for before the goals are believed. */
  trustEdition,
  /** Every current goal of the region, signed. */
  goals: z.array(envelope),
  /** Artifacts to hold, with where to pull them from; ones not listed may be dropped. */
  artifacts: z.array(
    z.strictObject({
      cid: artifactCid,
      project: name,
      sources: z.array(z.strictObject({ region: name, url: httpUrl, peerId })),
    }),
  ),
  /** A JWS for `pull` at the other regions' seeders. */
  grant: z.string(),
  /** The seeders of this same region, this one included. */
  seeders: z.array(z.strictObject({ url: httpUrl, peerId, swarmAddresses: z.array(multiaddr) })),
});

/** Sums over the hosts of one service in one region, by release. */
export const serviceCounts = z.strictObject({
  environment: name,
  service: name,
  /** The goal that these counts were made with: the newest one the seeder has. */
  epoch: count,
  generation: count,
  /** Hosts that the selector takes and that reported within the silence limit. */
  reporting: count,
  silent: count,
  /** Of the reporting and of the silent ones: those that this goal's `switch` allows to run `run`. */
  open: count,
  openSilent: count,
  /** The reporting hosts that come first in the order of the current goal's salt. */
  firstHosts: z.array(hostId).max(switchHostsMax),
  /** How many more reporting hosts a rule with this share would open; rising. */
  ladder: z
    .array(z.strictObject({ hosts: count, share: z.number().min(0).max(1) }))
    .max(ladderRungsMax),
  /** Of reporting hosts. A host that failed a release in this goal's rollout isn't counted as healthy with it. */
  releases: z
    .array(
      z.strictObject({
        release: releaseId,
        /** Have it on disk, verified. */
        holding: count,
        running: count,
        healthy: count,
        /** Tried it in this goal's rollout and went back, or can't run it. */
        failed: count,
      }),
    )
    .max(releasesCountedMax),
  troubled: z
    .array(
      z.strictObject({
        host: hostId,
        release: releaseId.nullable(),
        code: z.string().max(64),
        message: z.string().max(1024),
      }),
    )
    .max(troubledHostsMax),
});
export const seederReport = z.strictObject({
  held: z.array(artifactCid).max(100_000),
  goalEpochMax: count,
  hosts: count,
  services: z.array(serviceCounts).max(10_000),
});
export const passportInput = z.strictObject({
  joinToken: z.string().max(512),
  peerId,
  host: hostId,
  zone: name.default("default"),
  labels: labels.default({}),
});
export const passportAnswer = z.strictObject({
  passport: z.string(),
  environment: name.optional(),
});
/** Hosts bring the token; here it is its SHA-256, in hexadecimal. */
const tokenHash = z.string().regex(/^[0-9a-f]{64}$/);
export const joinTokens = z.strictObject({
  items: z
    .array(
      z.strictObject({
        hash: tokenHash,
        environment: name,
        labels,
        usesLeft: count,
        expiresAtMs: millis,
      }),
    )
    .max(joinTokensMax),
});
/** Each costs its token a use, unless that host has joined with it before. */
export const admissions = z.strictObject({
  items: z
    .array(
      z.strictObject({
        hash: tokenHash,
        peerId,
        host: hostId,
        zone: name,
        environment: name,
        labels,
      }),
    )
    .max(joinTokensMax),
});

// What hosts, builders, other seeders and the control plane say to a seeder ------------------------

export const ingested = z.strictObject({ stored: count });
export const hostGoalsQuery = planQuery;
/** All goals that select this host, and the statement of every artifact that they name. */
export const hostGoals = z.strictObject({
  version: z.string(),
  /** Of what GET /host/trust answers now: to be asked for before the goals are believed. */
  trustEdition,
  goals: z.array(envelope),
  statements: z.record(artifactCid, envelope),
  seeders: z.array(z.strictObject({ url: httpUrl, peerId, swarmAddresses: z.array(multiaddr) })),
});
export const manifestQuery = z.strictObject({
  /** Whether a list of blocks will do in the place of a long manifest. */
  blocks: z.enum(["true", "false"]).default("false"),
});
export const announceInput = z.strictObject({
  swarmAddresses: z.array(multiaddr).max(16),
  /** Of 1: what of the artifact this host has. */
  share: z.number().min(0).max(1),
  /** How many peers it would like. */
  want: z.int().min(0).max(64).default(16),
});
export const announced = z.strictObject({
  peers: z.array(
    z.strictObject({ peerId, swarmAddresses: z.array(multiaddr), zone: name, seeder: z.boolean() }),
  ),
  /** When to announce again. */
  againMs: millis,
});

export const serviceStatus = z.strictObject({
  environment: name,
  service: name,
  epoch: count,
  generation: count,
  state: z.enum([
    "idle",
    "fetching",
    "prepared",
    "starting",
    "healthy",
    "unhealthy",
    "rolledBack",
    "stopped",
    "failed",
  ]),
  /** Releases on disk and verified. */
  holding: z.array(releaseId).max(16),
  running: releaseId.nullable(),
  /** Whether `running` passes its health check. */
  healthy: z.boolean(),
  /** Release that was tried in this rollout and failed here, with why; of no account in another one. */
  failed: z
    .strictObject({
      rollout: rowId.nullable(),
      release: releaseId,
      code: z.string().max(64),
      message: z.string().max(1024),
    })
    .nullable(),
  /** What it waits for, for a person; empty when nothing. */
  waitsFor: z.string().max(1024),
  port: z.int().nullable(),
});
export const fetchStatus = z.strictObject({
  artifact: artifactCid,
  bytes,
  bytesReused: bytes,
  bytesFromSeeders: bytes,
  bytesFromPeers: bytes,
  bytesRefused: bytes,
  /** From the first wish for it until it was verified on disk; null while it goes on. */
  durationMs: millis.nullable(),
  /** What it waits for, from whom and since when; null once it is whole. */
  waits: z
    .strictObject({
      reason: z.enum(["noPeer", "noOffer", "requests", "storing", "notOffered", "paused"]),
      piecesMissing: count,
      piecesCount: count,
      peersLinked: count,
      peersKnown: count,
      requests: count,
      /** The one that was silent for the longest time first. */
      peers: z
        .array(
          z.strictObject({
            peer: peerId,
            seeder: z.boolean(),
            requests: count,
            bytes,
            silentMs: millis,
          }),
        )
        .max(waitedPeersMax),
      /** Since the last chunk was stored. */
      stillMs: millis,
    })
    .nullable(),
});
export const hostReport = z.strictObject({
  host: hostId,
  agentVersion: z.string().max(64),
  services: z.array(serviceStatus).max(1000),
  /** The newest first. */
  fetches: z.array(fetchStatus).max(16),
});
export const hostStatus = hostReport.extend({
  region: name,
  zone: name,
  labels,
  peerId,
  seenMsAgo: millis,
});
export const joinInput = passportInput.omit({ peerId: true });

/** A renewal brings nothing new: what the host is stands in the passport that it shows. */
export const renewed = z.strictObject({ passport: z.string() });

export type JoinTokens = z.infer<typeof joinTokens>;
export type Admission = z.infer<typeof admissions>["items"][number];
export type Plan = z.infer<typeof plan>;
export type ServiceCounts = z.infer<typeof serviceCounts>;
export type SeederReport = z.infer<typeof seederReport>;
export type HostGoals = z.infer<typeof hostGoals>;
export type HostReport = z.infer<typeof hostReport>;
export type HostStatus = z.infer<typeof hostStatus>;
export type ServiceStatus = z.infer<typeof serviceStatus>;
export type FetchStatus = z.infer<typeof fetchStatus>;
