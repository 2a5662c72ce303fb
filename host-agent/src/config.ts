// The agent's configuration: the only description of its settings.
import { hostId, httpUrl, labels as labelsSchema, name, peerId } from "@shoal/api/names";
import { gibibyte, kibibyte, mebibyte } from "@shoal/core/units";
import { hostname } from "node:os";
import { swarmSettings } from "@shoal/peer/swarm-settings";
import { trustSettings } from "@shoal/trust/trust-settings";
import { z } from "zod";

/** `{url, peerId}` in a file; `url#peerId` in a flag or variable. */
const seederText = z.string().transform((text, context) => {
  const hash = text.lastIndexOf("#");
  if (hash < 1) {
    context.addIssue("must be url#peerId");
    return z.NEVER;
  }
  return { url: text.slice(0, hash), peerId: text.slice(hash + 1) };
});
const seeder = z.union([
  z.strictObject({ url: httpUrl, peerId }),
  seederText.pipe(z.strictObject({ url: httpUrl, peerId })),
]);

/** The folder below the state folder with one folder for each artifact. */
export const releasesName = "releases";

export const agentConfig = z.strictObject({
  hostId: hostId.default(() => hostname()).describe("name of this host in its region"),
  region: name.describe("region of this host"),
  zone: name.default("default").describe("zone of this host in its region"),
  labels: labelsSchema.default({}).describe("labels that services select hosts by"),
  seeders: z
    .array(seeder)
    .min(1)
    .max(16)
    .describe("seeders of the region to begin with: url#peerId"),
  joinToken: z
    .string()
    .max(512)
    .optional()
    .describe("token for joining the fleet and for renewing the passport; better given as a file"),
  stateDir: z.string().min(1).describe("folder for key, passport, goals, releases and programs"),
  ...trustSettings,
  ...swarmSettings,
  uploadBytesPerSecondMax: z
    .int()
    .min(64 * kibibyte)
    .optional()
    .describe("bytes per second to peers; no limit when absent; read again on SIGHUP"),
  downloadBytesPerSecondMax: z
    .int()
    .min(64 * kibibyte)
    .optional()
    .describe(
      "bytes per second from peers and seeders; no limit when absent; read again on SIGHUP",
    ),
  memoryBytesMax: z
    .int()
    .min(192 * mebibyte)
    .default(256 * mebibyte)
    .describe("resident memory to stay within; buffers for chunks are made to fit"),
  metricsHost: z.string().min(1).default("127.0.0.1").describe("address for GET /metrics"),
  metricsPort: z
    .int()
    .min(0)
    .max(65_535)
    .optional()
    .describe("port for GET /metrics; 0 for a free one; no metrics when absent"),
  nodePath: z
    .string()
    .min(1)
    .optional()
    .describe("Node binary that programs find as node on their PATH"),
  runUid: z
    .int()
    .min(0)
    .default(65_534)
    .describe("user that programs run as when the agent is root"),
  runGid: z
    .int()
    .min(0)
    .default(65_534)
    .describe("group that programs run as when the agent is root"),
  secretsKeyFiles: z
    .array(z.string().min(1))
    .max(16)
    .default([])
    .describe("private keys that open the secrets of this host's environments"),
  portFirst: z
    .int()
    .min(1024)
    .max(65_535)
    .default(20_000)
    .describe("first port for programs that take any"),
  portLast: z
    .int()
    .min(1024)
    .max(65_535)
    .default(29_999)
    .describe("last port for programs that take any"),
  oldReleaseBytesMax: z
    .int()
    .positive()
    .default(64 * gibibyte)
    .describe("bytes of releases to keep on disk beyond those that goals name"),
  unfinishedReleaseBytesMax: z
    .int()
    .positive()
    .default(32 * gibibyte)
    .describe("bytes of releases that are fetched at once; a larger one is fetched alone"),
  stopProgramsOnExit: z.boolean().default(false).describe("end programs when the agent is stopped"),
});
/** `config_invalid` lists what a refinement finds, too. */
export const checkedAgentConfig = agentConfig.refine(
  ({ portFirst, portLast }) => portFirst <= portLast,
  { path: ["portLast"], message: "must not be below portFirst" },
);
export type AgentConfig = z.infer<typeof agentConfig>;
