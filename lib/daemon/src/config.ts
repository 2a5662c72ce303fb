// Configuration of a process from flags, environment and a file, in that order of precedence. The
// zod schema is the only description: names, types, defaults and help all come from it. Everything
// that is wrong is reported at once. Values never appear in errors: some of them are secrets.
//
// Key `controlPlaneUrl` is `--control-plane-url`, `SHOAL_CONTROL_PLANE_URL`, the content of the file
// that `SHOAL_CONTROL_PLANE_URL_FILE` names, or "controlPlaneUrl" in the JSON file of `--config`.
// Unknown flags and file keys are refused. Unknown SHOAL_* variables are not: orchestrators inject
// such names by themselves ("SHOAL_SEEDER_PORT" for a service called shoal-seeder).
import { readFileSync } from "node:fs";
import { ShoalError } from "@shoal/core/error";
import { configFileBytesMax } from "@shoal/core/limits";
import { z } from "zod";
import { type ConfigText, coerceText, isBooleanSchema, isListSchema } from "./config-values.ts";
import { describeConfig, environmentName, flagName } from "./config-help.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ConfigSources {
  readonly environment: Environment;
  /** Without the program and script: `process.argv.slice(2)`. */
  readonly argv: readonly string[];
}

/** What `runDaemon` itself needs to know; every process takes these beside its own keys. */
export interface DaemonSettings {
  readonly logLevel: LogLevel;
  /** End when stdin ends, so that children of a killed parent end. */
  readonly exitWithParent: boolean;
}

const logLevel = z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]);
export type LogLevel = z.infer<typeof logLevel>;

const reservedKeys = new Set(["help", "config", "logLevel"]);

/**
 * Reads and checks a process's configuration.
 * @throws ShoalError `config_invalid`, naming the flag and variable of every fault, or
 *   `help_requested`, whose message is the help text, when argv has `--help`.
 */
export function readConfig<Schema extends z.ZodObject>(
  schema: Schema,
  sources: ConfigSources,
): z.output<Schema> {
  const keys = Object.keys(schema.shape);
  for (const key of keys) {
    if (reservedKeys.has(key))
      throw new ShoalError("assertion_failed", `config key ${key} is reserved`, { blame: "local" });
  }
  if (sources.argv.includes("--help")) {
    throw new ShoalError("help_requested", describeConfig(schema), { blame: "local" });
  }
  const faults: string[] = [];
  const flags = readFlags(schema.shape, sources.argv, faults);
  const configPath = flags.get("config")?.[0] ?? nonEmpty(sources.environment["SHOAL_CONFIG"]);
  const raw: Record<string, unknown> =
    configPath === undefined ? {} : readConfigFile(configPath, new Set(keys), faults);
  for (const key of keys) {
    const text = flags.get(key) ?? readVariable(key, sources.environment, faults);
    if (text !== undefined) raw[key] = coerceText(schema.shape[key] as z.core.$ZodType, text);
  }
  const parsed = schema.safeParse(raw);
  if (!parsed.success)
    faults.push(...parsed.error.issues.map((issue) => describeIssue(issue, raw)));
  if (faults.length > 0) throw invalid(faults);
  return parsed.data as z.output<Schema>;
}

/** Reads what every process takes: `--log-level` or SHOAL_LOG_LEVEL, and SHOAL_EXIT_WITH_PARENT=1. */
export function readDaemonSettings(sources: ConfigSources): DaemonSettings {
  const { argv, environment } = sources;
  const index = argv.findIndex(
    (argument) => argument === "--log-level" || argument.startsWith("--log-level="),
  );
  const argument = index === -1 ? undefined : argv[index];
  const flag =
    argument === "--log-level" ? (argv[index + 1] ?? "") : argument?.slice("--log-level=".length);
  const parsed = logLevel.safeParse(flag ?? nonEmpty(environment["SHOAL_LOG_LEVEL"]) ?? "info");
  if (!parsed.success) {
    throw invalid([`--log-level (SHOAL_LOG_LEVEL): must be one of ${logLevel.options.join(", ")}`]);
  }
  return { logLevel: parsed.data, exitWithParent: environment["SHOAL_EXIT_WITH_PARENT"] === "1" };
}

/** The one place of a daemon that looks at the real process. */
export function processSources(): ConfigSources {
  return { environment: process.env, argv: process.argv.slice(2) };
}

function invalid(faults: readonly string[]): ShoalError {
  return new ShoalError("config_invalid", faults.join("; "), {
    blame: "local",
    hint: "Set the flags or variables named above; --help lists all of them.",
    details: { faults },
  });
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

/** Flags by key. A list's flag may be repeated; any other one may not. */
function readFlags(
  shape: z.core.$ZodLooseShape,
  argv: readonly string[],
  faults: string[],
): Map<string, ConfigText> {
  const byFlag = new Map(
    [...Object.keys(shape), ...reservedKeys].map((key) => [flagName(key), key]),
  );
  const found = new Map<string, ConfigText>();
  const add = (key: string, flag: string, value: string): void => {
    const before = found.get(key);
    if (before !== undefined && !(key in shape && isListSchema(shape[key] as z.core.$ZodType))) {
      faults.push(`${flag}: given more than once`);
    }
    found.set(key, [...(before ?? []), value]);
  };
  for (let index = 0; index < argv.length; index += 1) {
    const argument = argv[index] as string;
    const equals = argument.indexOf("=");
    const flag = equals === -1 ? argument : argument.slice(0, equals);
    const key = byFlag.get(flag);
    const negated = flag.startsWith("--no-") ? byFlag.get(`--${flag.slice(5)}`) : undefined;
    const isBoolean = (name: string): boolean =>
      name in shape && isBooleanSchema(shape[name] as z.core.$ZodType);
    if (key === undefined && negated !== undefined && equals === -1 && isBoolean(negated))
      add(negated, flag, "false");
    else if (key === undefined)
      faults.push(`${flag.startsWith("-") ? flag : "an argument without a flag"}: unknown`);
    else if (equals !== -1) add(key, flag, argument.slice(equals + 1));
    else if (isBoolean(key)) add(key, flag, "true");
    else if (argv[index + 1] === undefined || argv[index + 1]?.startsWith("--"))
      faults.push(`${flag}: needs a value`);
    else add(key, flag, argv[(index += 1)] as string);
  }
  return found;
}

/** An empty variable counts as unset, as compose files and shells leave them. */
function readVariable(
  key: string,
  environment: Environment,
  faults: string[],
): ConfigText | undefined {
  const variable = environmentName(key);
  const value = nonEmpty(environment[variable]);
  if (value !== undefined) return [value];
  const path = nonEmpty(environment[`${variable}_FILE`]);
  if (path === undefined) return undefined;
  const text = readSmallFile(path);
  if (text === undefined)
    faults.push(`${variable}_FILE: the file can't be read, or is over ${configFileBytesMax} bytes`);
  return text === undefined ? undefined : [text.replace(/\r?\n$/, "")];
}

function readConfigFile(
  path: string,
  known: ReadonlySet<string>,
  faults: string[],
): Record<string, unknown> {
  const text = readSmallFile(path);
  if (text === undefined) {
    faults.push(
      `--config (SHOAL_CONFIG): ${path} can't be read, or is over ${configFileBytesMax} bytes`,
    );
    return {};
  }
  const parsed = z.record(z.string(), z.unknown()).safeParse(parseJson(text));
  if (!parsed.success) {
    faults.push(`--config (SHOAL_CONFIG): ${path} isn't a JSON object`);
    return {};
  }
  for (const key of Object.keys(parsed.data))
    if (!known.has(key)) faults.push(`${path}: unknown key "${key}"`);
  return Object.fromEntries(Object.entries(parsed.data).filter(([key]) => known.has(key)));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Not an object, which is what the caller reports.
  }
}

function readSmallFile(path: string): string | undefined {
  try {
    const bytes = readFileSync(path);
    return bytes.length > configFileBytesMax ? undefined : bytes.toString("utf8");
  } catch {
    return undefined; // Reported by the caller with the name of the setting.
  }
}

function describeIssue(issue: z.core.$ZodIssue, raw: Readonly<Record<string, unknown>>): string {
  const [key, ...rest] = issue.path;
  if (typeof key !== "string") return issue.message;
  const name = `${flagName(key)} (${environmentName(key)})${rest.map((part) => `.${String(part)}`).join("")}`;
  return raw[key] === undefined ? `${name}: is required` : `${name}: ${issue.message}`;
}
