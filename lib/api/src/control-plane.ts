// What people and the CLI say to the control plane (docs/PROTOCOL.md, "Control plane").
import { parseNetworkHost } from "@shoal/core/build/network-host";
import {
  branchesMax,
  prepareHostsMax,
  prepareLockFilesMax,
  tokenBytesMax,
} from "@shoal/core/limits";
import { z } from "zod";
import {
  artifactCid,
  bytes,
  commit,
  count,
  hostId,
  httpUrl,
  instant,
  labels,
  millis,
  name,
  peerId,
  releaseId,
  rowId,
} from "./names.ts";
import { grantedPermission } from "./environments.ts";
import { release, runSpec } from "./release.ts";
import { testStage } from "./test-report.ts";

/** RFC 9457, with what a program needs to decide and a person to go on. */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string().optional(),
  code: z.string(),
  requestId: z.string(),
  retryable: z.boolean(),
  hint: z.string().optional(),
  /** Facts for a program, by code: what was expected, which regions lack it. */
  details: z.record(z.string(), z.unknown()).optional(),
  /** For invalid input: every fault, each with the path to it. */
  issues: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});

export const buildLimits = z.strictObject({
  memoryBytesMax: bytes.positive().default(4 * 1024 ** 3),
  /** In hundredths of a core. */
  cpuPercentMax: z.int().min(1).max(100_000).default(400),
  processesMax: z.int().min(1).max(100_000).default(1024),
  timeoutMs: millis.min(1000).default(3_600_000),
  diskBytesMax: bytes.positive().default(64 * 1024 ** 3),
});

/** Fetches what a build needs, before it, with network to the hosts of a list. */
export const prepare = z.strictObject({
  /** Run by `sh -c` in the checkout. */
  command: z.string().min(1).max(16_384),
  /** `host` (ports 80 and 443) or `host:port`; empty: no network. */
  hosts: z
    .array(
      z
        .string()
        .max(300)
        .refine(
          (text) => parseNetworkHost(text) !== null,
          "must be a lower-case host name, or host:port",
        ),
    )
    .max(prepareHostsMax)
    .default([]),
  /** Relative paths of files: when none has changed, the command's result is taken from a cache. Empty: the usual ones. */
  lockFiles: z.array(z.string().min(1).max(4096)).max(prepareLockFilesMax).default([]),
});

/** As git has it, without `refs/heads/`. */
export const branchName = z
  .string()
  .max(255)
  .regex(/^(?!-)(?!.*\.\.)[A-Za-z0-9._/+@#-]+$/, "must be the name of a branch");

/** Of a project, without what is taken when nothing is said. */
const projectFields = {
  /** Where git fetches from: https, ssh, file or an absolute path; checked by the builder too. */
  remoteUrl: z.string().min(1).max(2048),
  /** Run by `sh -c` in the checkout. */
  buildCommand: z.string().min(1).max(16_384),
  /** Relative path of the file or folder that the build leaves. */
  artifactPath: z.string().min(1).max(4096),
  /** Null: the build needs nothing that isn't in the repository. */
  prepare: prepare.nullable(),
  /** Null: nothing is tested. */
  test: testStage.nullable(),
  limits: buildLimits,
  /** Most builds of it at once; null: as many as there are builders. */
  buildsRunningMax: z.int().min(1).max(100_000).nullable(),
  /** How many turns it gets while others wait for theirs. */
  buildShare: z.int().min(1).max(100),
  /** Branches whose heads are built, whether or not somebody tells of a push. */
  branches: z.array(branchName).max(branchesMax),
  /** Labels that a builder must have to build it. */
  builderLabels: labels,
};
export const projectInput = z.strictObject({
  name,
  ...projectFields,
  prepare: projectFields.prepare.default(null),
  test: projectFields.test.default(null),
  limits: buildLimits.prefault({}),
  buildsRunningMax: projectFields.buildsRunningMax.default(null),
  buildShare: projectFields.buildShare.default(1),
  branches: projectFields.branches.default([]),
  builderLabels: labels.default({}),
});
/** What is absent stays as it is. Builds that are leased from then on are built so. */
export const projectPatch = z.strictObject(projectFields).partial();
export const project = projectInput.extend({ createdAt: instant });

export const regionInput = z.strictObject({
  name,
  /** The region that builders push to; exactly one. */
  home: z.boolean().default(false),
  inService: z.boolean().default(true),
});
/** What is absent stays as it is. */
export const regionPatch = z.strictObject({
  home: z.literal(true).optional(),
  inService: z.boolean().optional(),
});
export const region = regionInput.extend({
  seeders: z.array(z.strictObject({ url: httpUrl, peerId, seenAt: instant })),
  hosts: count,
});

export const serviceInput = z.strictObject({
  environment: name.default("production"),
  name,
  project: name,
  run: runSpec,
  selector: labels.default({}),
});
/** What is absent stays as it is. A changed `run` counts from the next deploy, a selector at once. */
export const servicePatch = z.strictObject({
  run: runSpec.optional(),
  selector: labels.optional(),
});
export const service = serviceInput.extend({ current: release.nullable(), createdAt: instant });

export const buildState = z.enum([
  "QUEUED",
  "BUILDING",
  "REPLICATING",
  "CANCELLING",
  "SUCCEEDED",
  "FAILED",
  "CANCELLED",
  "DEAD",
]);
export const failure = z.strictObject({
  code: z.string().max(64),
  message: z.string().max(4096),
  /** `user`: the project's code or settings; `system`: ours. */
  blame: z.enum(["user", "system"]),
});
export const buildInput = z.strictObject({
  project: name,
  commit,
  /** Branch that the commit was taken from: environments may deploy it by itself. */
  branch: z.string().min(1).max(255).nullable().default(null),
  /** Larger goes first. */
  priority: z.int().min(-100).max(100).default(0),
  /** Another build also when the commit has one that isn't over or has succeeded. */
  force: z.boolean().default(false),
  /** It waits until then. */
  scheduledFor: instant.optional(),
});
/** Moves a build that is queued; what is absent stays as it is. */
export const rescheduleInput = z.strictObject({
  priority: z.int().min(-100).max(100).optional(),
  /** Null: now. */
  scheduledFor: instant.nullable().optional(),
});
export const build = z.strictObject({
  id: rowId,
  project: name,
  commit,
  priority: z.int(),
  state: buildState,
  forced: z.boolean(),
  /** The build that this one is another try of. */
  retryOf: rowId.nullable(),
  scheduledFor: instant.nullable(),
  attempt: count,
  builder: z.string().nullable(),
  artifact: artifactCid.nullable(),
  artifactBytes: bytes.nullable(),
  failure: failure.nullable(),
  /** Regions that hold the artifact, and in-service ones that don't yet. */
  regionsHolding: z.array(name),
  regionsMissing: z.array(name),
  /** New chunk bytes that the publish had to send, uncompressed. */
  bytesUploaded: bytes.nullable(),
  createdAt: instant,
  leasedAt: instant.nullable(),
  publishedAt: instant.nullable(),
  endedAt: instant.nullable(),
});

/** One attempt of a build; all of them are kept, with their logs. */
export const attempt = z.strictObject({
  attempt: count,
  fence: z.string(),
  builder: z.string(),
  leasedAt: instant,
  endedAt: instant.nullable(),
  /** published, failed, cancelled, expired, cancelOverdue, restored; null while it runs. */
  outcome: z.string().nullable(),
  failure: failure.nullable(),
  /** How its builder knew that nothing of it ran any more. */
  proof: z.record(z.string(), z.unknown()).nullable(),
  /** Calls that came too late or from somebody else. */
  refused: count,
  /** Where its log begins in the build's, and how long it is. */
  logOffset: bytes,
  logBytes: bytes,
});

/** Why a build waits. */
export const buildWhy = z.strictObject({
  build: rowId,
  state: buildState,
  /** One sentence for a person. */
  summary: z.string(),
  /** 1 is next; null when it isn't queued. */
  position: count.nullable(),
  /** The next builds before it, and how many of each project. */
  ahead: z.array(z.strictObject({ build: rowId, project: name, priority: z.int() })),
  aheadByProject: z.array(z.strictObject({ project: name, builds: count })),
  /** Until then it isn't due: scheduled, or a wait before another attempt. */
  notBefore: instant.nullable(),
  cap: z.strictObject({ running: count, max: count.nullable(), reached: z.boolean() }),
  /** The project's share of starts, of all projects that wait in the same priority. */
  share: z.strictObject({ own: count, total: count }),
  /** Builders heard of lately that have its labels, how many of them are idle, and of how many. */
  builders: z.strictObject({ matching: count, idle: count, known: count, labels }),
  /** From the rate of starts in the last minutes; null when there is nothing to go by. */
  expectedStartAt: instant.nullable(),
});

/** The queue as a scaler reads it. */
export const queue = z.strictObject({
  queued: count,
  due: count,
  running: count,
  /** Age of the oldest build that is due. */
  oldestMs: millis,
  /** Builders that would leave nothing waiting that may run: builds that run and that are due below the caps. */
  buildersWanted: count,
  builders: z.array(
    z.strictObject({
      name: z.string(),
      labels,
      load: z.record(z.string(), z.number()).nullable(),
      draining: z.boolean(),
      build: rowId.nullable(),
      seenAt: instant,
    }),
  ),
  /** Late calls that were refused, by kind. */
  refused: z.record(z.string(), count),
  /** Of the database; another one after a restore. */
  incarnation: z.uuid(),
});

export const rolloutState = z.enum([
  "PREPARING",
  "SWITCHING",
  "PAUSED",
  "SUCCEEDED",
  "FAILED",
  "ABORTED",
]);
export const deployInput = z.strictObject({
  /** A SUCCEEDED build of the service's project. */
  build: rowId,
});
export const rollbackInput = z.strictObject({
  /** Release to go back to; the newest that ran before, when absent. */
  release: releaseId.optional(),
  /** Through waves, instead of everywhere at once. */
  waves: z.boolean().default(false),
});
/** Why, for whoever looks at the rollout. */
export const holdInput = z.strictObject({ reason: z.string().max(256).default("") });
export const releaseCounts = z.strictObject({
  release: releaseId,
  holding: count,
  running: count,
  healthy: count,
  failed: count,
});
export const rollout = z.strictObject({
  id: rowId,
  environment: name,
  service: name,
  kind: z.enum(["deploy", "rollback"]),
  release,
  previous: release.nullable(),
  state: rolloutState,
  /** 0-based; the number of waves is `waves`. */
  wave: count,
  waves: count,
  /** Hosts that may run the release now, and hosts that the service has. */
  hostsOpen: count,
  hosts: count,
  counts: releaseCounts.nullable(),
  /** What it waits for, or why it ended, for a person. */
  reason: z.string(),
  /** Who asked for it: a person's token, `admin`, or the environment's own rule. */
  by: z.string(),
  /** The region whose turn it is, where they go one after another. */
  region: name.nullable(),
  createdAt: instant,
  endedAt: instant.nullable(),
});
/** A host that failed a release in the newest rollout of a service. */
export const troubledHost = z.strictObject({
  region: name,
  host: hostId,
  release: releaseId.nullable(),
  code: z.string(),
  message: z.string(),
});
/** A seeder whose hosts are missing from an answer. */
export const unreachableSeeder = z.strictObject({
  region: name,
  seeder: name,
  reason: z.string(),
});
export const quarantine = z.strictObject({
  environment: name,
  service: name,
  release: releaseId,
  artifact: artifactCid,
  reason: z.string(),
  since: instant,
});

export const tokenInput = z.strictObject({
  role: z.literal("person"),
  name,
  permissions: z.array(grantedPermission).min(1).max(32),
  ttlMs: millis.min(1000).default(90 * 24 * 3_600_000),
});
export const joinTokenInput = z.strictObject({
  /** What joins with it, and nothing else does. */
  role: z.enum(["host", "builder", "seeder"]).default("host"),
  region: name,
  environment: name.default("production"),
  /** What joins with it has these labels and can't have others of the same names. */
  labels: labels.default({}),
  usesMax: z.int().min(1).max(1_000_000),
  ttlMs: millis.min(1000),
});
/** Of a builder or seeder; the region is its join token's. */
export const memberPassport = z.strictObject({
  passport: z.string().max(tokenBytesMax),
  region: name,
  /** Milliseconds since 1970. */
  expiresAtMs: z.int(),
});
/** The secret is shown once; the database has its hash. */
export const secret = z.strictObject({ token: z.string() });

export type Project = z.infer<typeof project>;
export type Region = z.infer<typeof region>;
export type Service = z.infer<typeof service>;
export type Build = z.infer<typeof build>;
export type Prepare = z.infer<typeof prepare>;
export type BuildLimits = z.infer<typeof buildLimits>;
export type Attempt = z.infer<typeof attempt>;
export type BuildWhy = z.infer<typeof buildWhy>;
export type Queue = z.infer<typeof queue>;
export type Failure = z.infer<typeof failure>;
export type Rollout = z.infer<typeof rollout>;
export type Quarantine = z.infer<typeof quarantine>;
export type Problem = z.infer<typeof problem>;
