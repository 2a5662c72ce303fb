// The control plane's configuration, from flags, environment or file.
import { readConfig, type ConfigSources } from "@shoal/daemon/config";
import { z } from "zod";

const path = z.string().min(1).max(4096);

const schema = z.object({
  /** Address to listen on. */
  host: z.string().min(1).max(256).default("127.0.0.1"),
  /** Port to listen on; 0 takes a free one, which the ready line tells. */
  port: z.int().min(0).max(65_535).default(7400),
  /** Where Postgres is; without it one is started in the state directory. Also DATABASE_URL. */
  databaseUrl: z.string().startsWith("postgres").max(4096).optional(),
  /** Folder of the Postgres that is started here. */
  stateDir: path,
  /** Folder for logs of builds, shared by all control planes; without it they stay in Postgres. */
  logDir: path.optional(),
  /** File with the token that administers everything. */
  adminTokenFile: path,
  /** Ed25519 key that signs goals, passports and grants. */
  keyFile: path,
  /** Other keys for each of them. */
  goalKeyFile: path.optional(),
  passportKeyFile: path.optional(),
  grantKeyFile: path.optional(),
  /** Trust document, signed by the root key. */
  trustFile: path,
  /** Raw public root key, base64url. */
  rootPublicKey: z.base64url().length(43),
  /** Most connections to Postgres. */
  databaseConnectionsMax: z.int().min(2).max(1000).default(16),
  /** How long a finished wave is watched before the next one opens. */
  bakeMs: z.int().min(0).max(86_400_000).default(2000),
  /** How long hosts have to fetch a release before the first wave opens without the rest. */
  prepareMs: z.int().min(1000).max(86_400_000).default(1_800_000),
  /** How long a wave may take. */
  waveMs: z.int().min(1000).max(86_400_000).default(600_000),
});

export type ControlPlaneConfig = z.output<typeof schema>;

/** Throws `config_invalid`. */
export function readControlPlaneConfig(sources: ConfigSources): ControlPlaneConfig {
  const { environment } = sources;
  const databaseUrl = environment["SHOAL_DATABASE_URL"] ?? environment["DATABASE_URL"];
  return readConfig(schema, {
    ...sources,
    environment: {
      ...environment,
      // Nothing is set to undefined: that a variable is there would count against its _FILE form.
      ...(databaseUrl === undefined ? {} : { SHOAL_DATABASE_URL: databaseUrl }),
    },
  });
}
