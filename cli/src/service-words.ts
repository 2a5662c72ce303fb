// How a service and its project are described on a command line: turns the words of --run, --health,
// --select and --prepare into the contract's fields. Commands are given to `sh -c`, as people expect of a quoted command.
import { type GrantedPermission, permission } from "@shoal/api/environments";
import { ShoalError } from "@shoal/core/error";
import { secondMs } from "@shoal/core/units";

/** No command: the release only has to be on the host. */
export function parseRun(command: string | undefined): { readonly command: readonly string[] } {
  return { command: command === undefined ? [] : ["/bin/sh", "-c", command] };
}

/**
 * `http://anything/path` asks the program's own port (a port in the URL fixes it), any other text
 * is a command, nothing means that a program is well while it runs. A command that names `$PORT` gets one.
 */
export function parseHealth(
  health: string | undefined,
  port: string | undefined,
  run: string | undefined,
): { readonly health: unknown; readonly port: number | "auto" | null } {
  const timing = {
    intervalMs: 500,
    timeoutMs: 5 * secondMs,
    startupMs: 30 * secondMs,
    healthyAfterCount: 2,
    unhealthyAfterCount: 3,
  };
  const wanted = port === undefined ? null : port === "auto" ? port : parsePort(port);
  const named = /\$\{?PORT\b/.test(`${run} ${health}`) ? "auto" : null;
  if (health === undefined)
    return { health: { type: "none", ...timing, startupMs: 2 * secondMs }, port: wanted ?? named };
  if (!/^https?:\/\//.test(health)) {
    return {
      health: { type: "command", command: ["/bin/sh", "-c", health], ...timing },
      port: wanted ?? named,
    };
  }
  // "$PORT" in the URL is how people write "the program's port"; it isn't a valid port to a parser.
  const url = parseUrl(health.replace(/:\$\{?PORT\}?/, ""));
  const fixed = url.port === "" ? "auto" : Number(url.port);
  return {
    health: { type: "http", path: `${url.pathname}${url.search}`, ...timing },
    port: wanted ?? fixed,
  };
}

/** Null without a command; hosts and lock files mean nothing then, and are refused. */
export function parsePrepare(
  command: string | undefined,
  hosts: readonly string[],
  lockFiles: readonly string[],
): { readonly command: string; readonly hosts: string[]; readonly lockFiles: string[] } | null {
  if (command !== undefined) return { command, hosts: [...hosts], lockFiles: [...lockFiles] };
  if (hosts.length === 0 && lockFiles.length === 0) return null;
  throw usage("--prepare-host and --lock-file need --prepare.");
}

/** A test stage, when there is a command for it. */
export function parseTest(
  command: string | undefined,
  reports: readonly string[],
): { readonly command: string; readonly reports: string[] } | null {
  if (command !== undefined) return { command, reports: [...reports] };
  if (reports.length === 0) return null;
  throw usage("--test-report needs --test.");
}

/** "zone=a", "disk=ssd" as a record. */
export function parseLabels(labels: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    labels.map((label) => {
      const equals = label.indexOf("=");
      if (equals < 1) throw usage(`"${label}" isn't label=value.`);
      return [label.slice(0, equals), label.slice(equals + 1)];
    }),
  );
}

/** "deploy", "deploy:staging" as permissions, in every environment or in one. */
export function parsePermissions(words: readonly string[]): GrantedPermission[] {
  return words.map((word) => {
    const [may, environment, ...rest] = word.split(":");
    const parsed = permission.safeParse(may);
    if (!parsed.success || rest.length > 0 || environment === "")
      throw usage(`"${word}" isn't a permission, or permission:environment.`);
    return { may: parsed.data, environments: environment === undefined ? null : [environment] };
  });
}

/** Throws `config_invalid`. */
export function parsePort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw usage(`"${text}" isn't a port number.`);
}

function parseUrl(text: string): URL {
  try {
    return new URL(text);
  } catch {
    throw usage(`"${text}" isn't a URL.`);
  }
}

function usage(message: string): ShoalError {
  return new ShoalError("config_invalid", message, { blame: "local" });
}
