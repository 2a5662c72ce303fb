// What builders say to the control plane. Every call after the lease names the lease's fence.
import { z } from "zod";
import {
  artifactCid,
  bytes,
  commit,
  count,
  envelope,
  httpUrl,
  instant,
  labels,
  millis,
  name,
  peerId,
  rowId,
} from "./names.ts";
import { buildLimits, buildState, failure, prepare } from "./control-plane.ts";
import { testReport, testStage } from "./test-report.ts";

/** How busy the builder's machine is, for people and scalers; decides nothing. */
export const builderLoad = z.strictObject({
  /** Of all cores, over the last minute. */
  cpuPercent: z.number().min(0).max(1_000_000),
  memoryFreeBytes: bytes,
  diskFreeBytes: bytes,
});
export const leaseInput = z.strictObject({
  builder: name,
  labels: labels.default({}),
  load: builderLoad.optional(),
  /** Held open this long when the queue is empty. */
  waitMs: millis.max(10_000).default(0),
});
export const lease = z.strictObject({
  build: rowId,
  project: name,
  commit,
  attempt: count,
  /** Never repeats; a larger fence is a later lease. Decimal digits of a 63-bit number. */
  fence: z
    .string()
    // Other text would make BigInt throw.
    .regex(/^[0-9]{1,19}$/, { abort: true })
    .refine((digits) => BigInt(digits) < 2n ** 63n, "must be below 2^63"),
  until: instant,
  remoteUrl: z.string(),
  buildCommand: z.string(),
  artifactPath: z.string(),
  prepare: prepare.nullable(),
  test: testStage.nullable(),
  limits: buildLimits,
  /** The home region's seeder to push to. */
  seeder: z.strictObject({ region: name, url: httpUrl, peerId }),
  /** A JWS for `ingest` at that seeder, bound to project, attempt and fence. */
  grant: z.string(),
});
export const fence = lease.shape.fence;
export const heartbeatInput = z.strictObject({ fence, load: builderLoad.optional() });
/** It takes no more builds; asking for one says otherwise. */
export const drainInput = z.strictObject({
  builder: name,
  /** It holds no build: a lease that it has all the same was lost on the way, and is given to others. */
  idle: z.boolean().default(false),
});
export const heartbeat = z.strictObject({
  until: instant,
  /** Stop the build, prove it, and call `cancelled`. */
  cancel: z.boolean(),
  grant: z.string(),
});
/** Query of a log append; the body is raw bytes. `offset` is where they start; a gap is refused, a repeat is ignored. */
export const logAppendQuery = z.strictObject({
  fence,
  offset: z.coerce.number().int().nonnegative(),
});
/** What the test stage left; said before the attempt ends, the newest counts. */
export const testsInput = z.strictObject({ fence, report: testReport });
export const publishInput = z.strictObject({
  fence,
  artifact: artifactCid,
  artifactBytes: bytes,
  bytesUploaded: bytes,
  statement: envelope,
});
export const failInput = z.strictObject({ fence, failure });
/** How the builder knows that nothing of a cancelled attempt runs any more. */
export const deathProof = z.strictObject({
  kind: z.enum(["cgroupEmpty", "pidNamespaceGone", "noProcessLeft", "nothingStarted"]),
  /** Processes that were killed, where they were counted. */
  killed: count.optional(),
});
/** What an attempt's end made of its build. */
export const attemptEnded = z.strictObject({ build: rowId, state: buildState });
export const cancelledInput = z.strictObject({ fence, proof: deathProof.optional() });

export type Lease = z.infer<typeof lease>;
export type BuilderLoad = z.infer<typeof builderLoad>;
export type AttemptEnded = z.infer<typeof attemptEnded>;
