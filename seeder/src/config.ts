// The seeder's configuration: the only description of its settings.
import { httpUrl, name } from "@shoal/api/names";
import { mebibyte, minuteMs } from "@shoal/core/units";
import { swarmSettings } from "@shoal/peer/swarm-settings";
import { trustSettings } from "@shoal/trust/trust-settings";
import { z } from "zod";

/** `s3://bucket` or `s3://bucket/some/prefix`. */
const s3Url = z
  .string()
  .regex(
    /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:\/[a-z0-9_-][a-z0-9._-]*)*\/?$/,
    "isn't s3://bucket/prefix",
  );

export const seederConfig = z.strictObject({
  controlPlaneUrl: httpUrl.describe("where the control plane listens"),
  name: name.describe("name of this seeder, unique in the fleet"),
  joinToken: z
    .string()
    .min(1)
    .max(512)
    .optional()
    .describe("join token of the role seeder, to join with once; better given as a file"),
  stateDir: z
    .string()
    .min(1)
    .describe("folder for its key, goals and, unless storeDir says otherwise, chunks"),
  storeDir: z.string().min(1).optional().describe("folder for chunks, manifests and statements"),
  storeUrl: s3Url
    .optional()
    .describe("s3://bucket/prefix for chunks, manifests and statements instead of a folder"),
  s3Endpoint: httpUrl.optional().describe("S3 server, when it isn't Amazon's"),
  s3Region: z.string().min(1).default("us-east-1").describe("region of the bucket"),
  s3AccessKeyId: z
    .string()
    .min(1)
    .optional()
    .describe("S3 key; without one, the SDK's usual places are looked at"),
  s3SecretAccessKey: z.string().min(1).optional().describe("its secret; better given as a file"),
  host: z.string().min(1).default("127.0.0.1").describe("address to listen on for HTTPS"),
  port: z
    .int()
    .min(0)
    .max(65_535)
    .default(7441)
    .describe("port to listen on for HTTPS; 0 for a free one"),
  advertisedUrl: httpUrl
    .optional()
    .describe("https address that others reach it by, when it isn't host and port"),
  ...swarmSettings,
  ...trustSettings,
  cacheBytesMax: z
    .int()
    .positive()
    .default(8 * mebibyte)
    .describe("memory for chunks that were read lately"),
  dropAfterMs: z
    .int()
    .min(minuteMs)
    .default(60 * minuteMs)
    .describe("how long an artifact that nothing names any more is kept, in milliseconds"),
});
export type SeederConfig = z.infer<typeof seederConfig>;
