// The builder's configuration: the only description of its settings.
import { httpUrl, labels, name } from "@shoal/api/names";
import { builderDrainMs } from "@shoal/core/limits";
import { gibibyte } from "@shoal/core/units";
import { z } from "zod";

export const builderConfig = z.strictObject({
  controlPlaneUrl: httpUrl.describe("where the control plane listens"),
  joinToken: z
    .string()
    .min(1)
    .max(512)
    .optional()
    .describe("join token of the role builder, to join with once; better given as a file"),
  name: name.describe("name of this builder, unique in the fleet"),
  workDir: z
    .string()
    .min(1)
    .describe(
      "folder for its key and passport, checkouts, builds and what prepare commands made; no one else's",
    ),
  keyFile: z.string().min(1).describe("Ed25519 key that signs statements; made when there is none"),
  labels: labels.default({}).describe("key=value labels that builds are matched with"),
  sandbox: z
    .enum(["bubblewrap", "none"])
    .default("bubblewrap")
    .describe("how builds are isolated; none: not at all"),
  sandboxUid: z
    .int()
    .min(1)
    .max(2 ** 31 - 2)
    .default(64_010)
    .describe("user that builds run as when the builder is root; nothing else may use it"),
  readOnlyFolders: z
    .array(z.string().startsWith("/"))
    .default([])
    .describe("more folders of the machine that builds may read, such as /opt"),
  secretsDir: z
    .string()
    .min(1)
    .optional()
    .describe("folder with secrets for builds: a folder for each project, in it a file for each"),
  drainMs: z
    .int()
    .min(0)
    .max(24 * 3_600_000)
    .default(builderDrainMs)
    .describe("how long the running build may go on after SIGTERM; 0 gives it back at once"),
  preparedBytesMax: z
    .int()
    .min(0)
    .default(20 * gibibyte)
    .describe("disk for what prepare commands made; the least recently used goes first"),
});
export type BuilderConfig = z.infer<typeof builderConfig>;
