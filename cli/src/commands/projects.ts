// `shoal project create` and `shoal project set`: where a project's code is and how it is built.
import type { Client } from "@shoal/api/client";
import type { Command } from "commander";
import { parsePrepare, parseTest } from "../service-words.ts";
import { parseInteger } from "./build.ts";
import { commonOptions, type CommandContext, type CommonOptions } from "./context.ts";
import { printAnswer } from "./print.ts";

type Patch = Parameters<Client["projects"]["update"]>[1];

interface ProjectOptions extends CommonOptions {
  readonly remote?: string;
  readonly build?: string;
  readonly artifact?: string;
  readonly prepare?: string;
  readonly prepareHost: readonly string[];
  readonly lockFile: readonly string[];
  /** False: no branch. */
  readonly branch?: readonly string[] | false;
  readonly test?: string;
  readonly testReport: readonly string[];
  readonly share?: number;
  readonly runningMax?: number;
}

export function addProjects(program: Command, context: CommandContext): void {
  const project = program.command("project").description("Projects");
  const create = commonOptions(project.command("create"))
    .description("Add a project: where its code is and how to build it")
    .argument("<name>")
    .requiredOption("--remote <url>", "git remote: https, ssh, or an absolute path on the builders")
    .requiredOption("--build <command>", "run by sh in the checkout, without network")
    .requiredOption("--artifact <path>", "file or folder that the build leaves");
  buildOptions(create).action(
    async (
      name: string,
      options: ProjectOptions & { remote: string; build: string; artifact: string },
    ) => {
      const created = await context.connect(options).projects.create({
        name,
        ...changesOf(options),
        remoteUrl: options.remote,
        buildCommand: options.build,
        artifactPath: options.artifact,
      });
      print(created, options);
    },
  );
  const set = commonOptions(project.command("set"))
    .description("Change a project; what isn't said stays, and builds under way go on as they were")
    .argument("<name>")
    .option("--remote <url>", "git remote: https, ssh, or an absolute path on the builders")
    .option("--build <command>", "run by sh in the checkout, without network")
    .option("--artifact <path>", "file or folder that the build leaves");
  buildOptions(set)
    .option("--no-branch", "build no branch by itself")
    .action(async (name: string, options: ProjectOptions) => {
      print(await context.connect(options).projects.update(name, changesOf(options)), options);
    });
}

function buildOptions(command: Command): Command {
  return command
    .option("--prepare <command>", "run before the build, to fetch what it needs")
    .option("--prepare-host <host...>", "hosts that --prepare may reach: host or host:port", [])
    .option("--lock-file <path...>", "files that the result of --prepare depends on", [])
    .option("--branch <name...>", "branches whose heads are built, also without a push being told")
    .option(
      "--test <command>",
      "run after the build in the same sandbox; a failure fails the build",
    )
    .option(
      "--test-report <pattern...>",
      "reports that --test leaves: JUnit XML, Cobertura, lcov; without it, files of the usual names",
      [],
    )
    .option("--share <number>", "turns it gets while others wait for theirs", parseInteger)
    .option("--running-max <number>", "most builds of it at once", parseInteger);
}

/** What the options say; options that belong to one that isn't there are faults. */
function changesOf(options: ProjectOptions): Patch {
  const { remote, build, artifact, branch, share, runningMax } = options;
  const prepare = parsePrepare(options.prepare, options.prepareHost, options.lockFile);
  const test = parseTest(options.test, options.testReport);
  return {
    ...(remote === undefined ? {} : { remoteUrl: remote }),
    ...(build === undefined ? {} : { buildCommand: build }),
    ...(artifact === undefined ? {} : { artifactPath: artifact }),
    ...(prepare === null ? {} : { prepare }),
    ...(test === null ? {} : { test }),
    ...(branch === undefined ? {} : { branches: branch === false ? [] : [...branch] }),
    ...(share === undefined ? {} : { buildShare: share }),
    ...(runningMax === undefined ? {} : { buildsRunningMax: runningMax }),
  };
}

function print(
  project: Awaited<ReturnType<Client["projects"]["create"]>>,
  options: CommonOptions,
): void {
  printAnswer(project, options.json === true, ({ name, remoteUrl, branches }) => {
    const heads = branches.length === 0 ? "" : `, and ${branches.join(", ")} by itself`;
    return `project ${name} builds ${remoteUrl}${heads}`;
  });
}
