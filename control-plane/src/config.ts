// The control plane's configuration: the only description of its settings.
import { hourMs, minuteMs, secondMs } from "@shoal/core/units";
import { readConfig, type ConfigSources } from "@shoal/daemon/config";
import { trustSettings } from "@shoal/trust/trust-settings";
import { z } from "zod";

const path = z.string().min(1).max(4096);
const keyFile = path.optional();
const dayMs = 24 * hourMs;

const controlPlaneConfig = z.strictObject({
  host: z.string().min(1).max(256).default("127.0.0.1").describe("address to listen on"),
  port: z
    .int()
    .min(0)
    .max(65_535)
    .default(7400)
    .describe("port to listen on; 0 for a free one, which the ready line tells"),
  databaseUrl: z
    .string()
    .startsWith("postgres")
    .max(4096)
    .optional()
    .describe("where Postgres is, also DATABASE_URL; one is started in stateDir when absent"),
  stateDir: path.describe("folder of the Postgres that is started here"),
  logDir: path
    .optional()
    .describe("folder for logs of builds, shared by all control planes; in Postgres when absent"),
  adminTokenFile: path.describe("file with the token that administers everything"),
  keyFile: path.describe("Ed25519 key that signs goals, passports and grants"),
  goalKeyFile: keyFile.describe("another key for goals"),
  passportKeyFile: keyFile.describe("another key for passports"),
  grantKeyFile: keyFile.describe("another key for grants"),
  ...trustSettings,
  databaseConnectionsMax: z
    .int()
    .min(2)
    .max(1000)
    .default(16)
    .describe("most connections to Postgres"),
  bakeMs: z
    .int()
    .min(0)
    .max(dayMs)
    .default(2 * secondMs)
    .describe("how long a finished wave is watched before the next one opens, in milliseconds"),
  prepareMs: z
    .int()
    .min(secondMs)
    .max(dayMs)
    .default(30 * minuteMs)
    .describe("how long hosts have to fetch a release before waves open without the rest"),
  waveMs: z
    .int()
    .min(secondMs)
    .max(dayMs)
    .default(10 * minuteMs)
    .describe("how long a wave may take, in milliseconds"),
});

export type ControlPlaneConfig = z.output<typeof controlPlaneConfig>;

/** Throws `config_invalid`. */
export function readControlPlaneConfig(sources: ConfigSources): ControlPlaneConfig {
  const { environment } = sources;
  const databaseUrl = environment["SHOAL_DATABASE_URL"] ?? environment["DATABASE_URL"];
  return readConfig(controlPlaneConfig, {
    ...sources,
    environment: {
      ...environment,
      // Nothing is set to undefined: that a variable is there would count against its _FILE form.
      ...(databaseUrl === undefined ? {} : { SHOAL_DATABASE_URL: databaseUrl }),
    },
  });
}
