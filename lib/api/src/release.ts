// Strict decoders of releases and goals; the types are core's.
import type { Goal, SwitchRule } from "@shoal/core/rollout/goal";
import type { HealthCheck, Release, RunSpec } from "@shoal/core/rollout/release";
import { sealedSecretLengthMax, secretsPerServiceMax, switchHostsMax } from "@shoal/core/limits";
import { z } from "zod";
import {
  artifactCid,
  bytes,
  commit,
  count,
  hostId,
  instant,
  labels,
  millis,
  name,
  releaseId,
  rowId,
} from "./names.ts";

const argumentVector = z.array(z.string().max(4096)).max(256);
const timing = {
  intervalMs: millis.min(100).default(1000),
  timeoutMs: millis.min(100).default(2000),
  startupMs: millis.min(100).default(30_000),
  healthyAfterCount: z.int().min(1).max(100).default(2),
  unhealthyAfterCount: z.int().min(1).max(100).default(3),
};

export const healthCheck: z.ZodType<HealthCheck, unknown> = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("http"),
    path: z.string().startsWith("/").max(1024),
    ...timing,
  }),
  z.strictObject({ type: z.literal("command"), command: argumentVector.min(1), ...timing }),
  z.strictObject({ type: z.literal("none"), ...timing }),
]);

export const runSpec: z.ZodType<RunSpec, unknown> = z.strictObject({
  command: argumentVector,
  environment: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string().max(32_768))
    .default({}),
  port: z
    .union([z.int().min(1).max(65_535), z.literal("auto")])
    .nullable()
    .default(null),
  health: healthCheck,
  stopTimeoutMs: millis.max(600_000).default(10_000),
  memoryBytesMax: bytes.positive().nullable().default(null),
  limits: z
    .strictObject({
      memoryBytesMax: bytes.positive().nullable().default(null),
      cpuPercentMax: z.int().min(1).max(100_000).nullable().default(null),
      processesMax: z.int().min(1).max(4_000_000).nullable().default(null),
    })
    .optional(),
  secrets: z
    .record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/),
      z.strictObject({
        key: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
        sealed: z.base64url().max(sealedSecretLengthMax),
      }),
    )
    .refine((secrets) => Object.keys(secrets).length <= secretsPerServiceMax)
    .optional(),
});

export const release: z.ZodType<Release, unknown> = z.strictObject({
  id: releaseId,
  artifact: artifactCid,
  project: name,
  commit,
  run: runSpec,
});

export const switchRule: z.ZodType<SwitchRule, unknown> = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("none") }),
  z.strictObject({ type: z.literal("hosts"), hosts: z.array(hostId).max(switchHostsMax) }),
  z.strictObject({
    type: z.literal("share"),
    share: z.number().min(0).max(1),
    hosts: z.array(hostId).max(switchHostsMax).default([]),
  }),
  z.strictObject({ type: z.literal("all") }),
]);

export const goal: z.ZodType<Goal, unknown> = z.strictObject({
  format: z.literal("shoal.goal/v1"),
  environment: name,
  region: name,
  service: name,
  epoch: count,
  generation: count,
  rollout: rowId.nullable(),
  prepare: z.array(release).max(4),
  run: release.nullable(),
  fallback: release.nullable(),
  switch: switchRule,
  salt: z.string().max(64),
  selector: labels,
  issuedAt: instant,
});
