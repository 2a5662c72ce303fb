// `shoal demo`: the whole path on one machine.
import { ShoalError } from "@shoal/core/error";
import { InvalidArgumentError, type Command } from "commander";
import { searchPath, type Environment } from "../environment.ts";
import { demoLimits, type OwnProject } from "../demo/options.ts";

export function addDemoCommand(program: Command, environment: Environment): void {
  program
    .command("demo")
    .description("Build and deploy an example to a fleet of processes on this machine")
    .option("--hosts <number>", "host agents over all regions", within(1, demoLimits.hostsMax), 6)
    .option(
      "--regions <number>",
      "regions, each with a seeder",
      within(1, demoLimits.regionsMax),
      2,
    )
    .option(
      "--services <number>",
      "many small services instead, deployed at the same time, one of them bad",
      within(2, demoLimits.servicesMax),
    )
    .option("--json", "end with one JSON object on standard output instead of the tables")
    .option("--keep", "leave everything running and print what to try next")
    .option(
      "--dir <path>",
      "where state lives (default: a new temporary folder, removed at the end)",
    )
    .option("--plain", "send chunks without encryption, as on a wire that is trusted")
    .option("--repo <path or url>", "your own project instead of the example")
    .option("--commit <sha>", "with --repo: the full commit id to build")
    .option("--build <command>", "with --repo: how to build it")
    .option("--artifact <path>", "with --repo: file or folder that the build leaves")
    .option("--run <command>", "with --repo: what hosts run, in the artifact's folder")
    .option(
      "--health <url or command>",
      "with --repo: http://host/path of the program's PORT, or a command",
    )
    .option("--prepare <command>", "with --repo: fetches what the build needs, before it")
    .option("--prepare-host <host...>", "hosts that --prepare may reach: host or host:port")
    .option("--lock-file <path...>", "files that the result of --prepare depends on")
    .action(async (flags: DemoFlags) => {
      // Only here: every other command would wait for what it brings along.
      const { runDemo } = await import("../demo/demo.ts");
      process.exitCode = await runDemo({
        hosts: Math.max(flags.hosts, flags.regions),
        regions: flags.regions,
        services: flags.services ?? null,
        json: flags.json === true,
        keep: flags.keep === true,
        plain: flags.plain === true,
        dir: flags.dir ?? null,
        searchPath: searchPath(environment),
        own: ownProject(flags),
      });
    });
}

interface DemoFlags {
  readonly hosts: number;
  readonly regions: number;
  readonly services?: number;
  readonly json?: boolean;
  readonly keep?: boolean;
  readonly plain?: boolean;
  readonly dir?: string;
  readonly repo?: string;
  readonly commit?: string;
  readonly build?: string;
  readonly artifact?: string;
  readonly run?: string;
  readonly health?: string;
  readonly prepare?: string;
  readonly prepareHost?: readonly string[];
  readonly lockFile?: readonly string[];
}

function ownProject(flags: DemoFlags): OwnProject | null {
  const { repo, commit, build, artifact, run, health, prepare } = flags;
  const others = { commit, build, artifact, run, health, prepare };
  if (repo === undefined) {
    const stray = Object.entries(others).find(([, value]) => value !== undefined)?.[0];
    if (stray === undefined) return null;
    throw usage(`--${stray} needs --repo.`);
  }
  if (commit === undefined || build === undefined || artifact === undefined) {
    throw usage("--repo needs --commit, --build and --artifact.");
  }
  const { prepareHost: prepareHosts = [], lockFile: lockFiles = [] } = flags;
  return { repo, commit, build, artifact, run, health, prepare, prepareHosts, lockFiles };
}

function usage(message: string): ShoalError {
  return new ShoalError("config_invalid", message, { blame: "local" });
}

function within(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`must be a whole number from ${min} to ${max}`);
  };
}
