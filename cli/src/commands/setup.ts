// What an operator makes once: `shoal keys create`, `shoal region|project|service create`, tokens of
// people, and join tokens.
import { type Command, Option } from "commander";
import { hourMs, mebibyte } from "@shoal/core/units";
import { makeFleetKeys } from "../fleet-keys.ts";
import { parseHealth, parseLabels, parsePermissions, parseRun } from "../service-words.ts";
import { parseInteger } from "./build.ts";
import { commonOptions, splitService, type CommandContext, type CommonOptions } from "./context.ts";
import { describeRegions, describeServices } from "./describe.ts";
import { printAnswer } from "./print.ts";
import { addProjects } from "./projects.ts";

export function addSetupCommands(program: Command, context: CommandContext): void {
  addKeys(program);
  addRegions(program, context);
  addProjects(program, context);
  addServices(program, context);
  addTokens(program, context);
}

function addKeys(program: Command): void {
  program
    .command("keys")
    .description("Keys of a fleet")
    .command("create")
    .description("Make root, control plane and builder keys and the trust document in a folder")
    .argument("<dir>")
    .option("--json", "print the answer as one JSON line")
    .action(async (dir: string, options: { json?: boolean }) => {
      printAnswer(await makeFleetKeys(dir), options.json === true, (keys) =>
        [
          `root key           ${keys.rootKeyFile} (keep it offline)`,
          `root public key    ${keys.rootPublicKey}`,
          `trust document     ${keys.trustFile}`,
          `control plane key  ${keys.controlPlaneKeyFile}`,
          `builder key        ${keys.builderKeyFile}`,
        ].join("\n"),
      );
    });
}

function addRegions(program: Command, context: CommandContext): void {
  commonOptions(program.command("region").description("Regions").command("create"))
    .description("Add a region")
    .argument("<name>")
    .option("--home", "the region that builders push to")
    .action(async (name: string, options: CommonOptions & { home?: boolean }) => {
      const region = await context
        .connect(options)
        .regions.create({ name, home: options.home === true });
      printAnswer(region, options.json === true, (created) => describeRegions([created]));
    });
}

interface ServiceOptions extends CommonOptions {
  readonly project: string;
  readonly run?: string;
  readonly health?: string;
  readonly port?: string;
  readonly select: readonly string[];
  readonly limitMemory?: number;
  readonly limitCpu?: number;
  readonly limitProcesses?: number;
}

/** None when no limit is asked for: a release without them is another one. */
function limitsOf({ limitMemory, limitCpu, limitProcesses }: ServiceOptions): object {
  if ([limitMemory, limitCpu, limitProcesses].every((limit) => limit === undefined)) return {};
  return {
    limits: {
      memoryBytesMax: limitMemory === undefined ? null : limitMemory * mebibyte,
      cpuPercentMax: limitCpu ?? null,
      processesMax: limitProcesses ?? null,
    },
  };
}

function addServices(program: Command, context: CommandContext): void {
  const service = program.command("service").description("Services");
  commonOptions(service.command("select"))
    .description("Change which hosts a service runs on, at once; those it drops stop it")
    .argument("<service>", "environment/service, or service in production")
    .argument("[label=value...]", "labels that a host must have; none for every host")
    .action(async (target: string, words: readonly string[], options: CommonOptions) => {
      const { environment, service: name } = splitService(target);
      const selector = parseLabels(words);
      const updated = await context
        .connect(options)
        .services.update(environment, name, { selector });
      printAnswer(updated, options.json === true, (answer) => describeServices([answer]));
    });
  commonOptions(service.command("create"))
    .description("Add a service: what hosts run of a project")
    .argument("<service>", "environment/service, or service in production")
    .requiredOption("--project <name>", "project whose builds it runs")
    .option(
      "--run <command>",
      "run by sh in the release folder; without it the release only has to be there",
    )
    .option(
      "--health <url or command>",
      "http://host/path is asked of the program's port; anything else is run by sh",
    )
    .option("--port <number>", 'port given to the program as PORT, or "auto"')
    .option("--select <label=value...>", "only hosts with these labels", [])
    .option("--limit-memory <MiB>", "of all its processes together", parseInteger)
    .option("--limit-cpu <percent>", "100 is one processor", parseInteger)
    .option("--limit-processes <number>", "at once", parseInteger)
    .action(async (target: string, options: ServiceOptions) => {
      const { environment, service: name } = splitService(target);
      const created = await context.connect(options).services.create({
        environment,
        name,
        project: options.project,
        selector: parseLabels(options.select),
        run: {
          ...parseRun(options.run),
          ...parseHealth(options.health, options.port, options.run),
          ...limitsOf(options),
        },
      });
      printAnswer(created, options.json === true, (answer) => describeServices([answer]));
    });
}

function addTokens(program: Command, context: CommandContext): void {
  const token = program
    .command("token")
    .description("Tokens of people, and of what joins; each is shown once");
  commonOptions(token.command("create-person"))
    .description("Let a person do some things with a token of their own")
    .argument("<name>")
    .argument(
      "<permission...>",
      "read, build, deploy, rollback, operate, allow; deploy:staging for one environment",
    )
    .option("--days <number>", "how long it is good for", parseInteger, 90)
    .action(
      async (
        name: string,
        words: readonly string[],
        options: CommonOptions & { readonly days: number },
      ) => {
        const permissions = parsePermissions(words);
        const ttlMs = options.days * 24 * hourMs;
        const input = { role: "person", name, permissions, ttlMs } as const;
        printSecret(await context.connect(options).tokens.create(input), options);
      },
    );
  commonOptions(token.command("revoke-person"))
    .description("End all tokens of a person")
    .argument("<name>")
    .action(async (name: string, options: CommonOptions) => {
      const answer = await context.connect(options).tokens.revokePerson({ name });
      printAnswer(answer, options.json === true, ({ revoked }) => `${revoked} tokens ended`);
    });
  commonOptions(token.command("create-join"))
    .description("Let hosts, builders or seeders join a region")
    .argument("<region>")
    .addOption(
      new Option("--role <role>", "what joins with it")
        .choices(["host", "builder", "seeder"])
        .default("host"),
    )
    .option("--uses <number>", "how many may join with it", parseInteger, 1)
    .option("--hours <number>", "how long it is good for", parseInteger, 24)
    .option("--label <label=value...>", "labels that what joins gets from it and can't change", [])
    .action(async (region: string, options: JoinTokenOptions) => {
      const labels = parseLabels(options.label);
      const { role, uses: usesMax, hours } = options;
      const input = { role, region, labels, usesMax, ttlMs: hours * hourMs };
      printSecret(await context.connect(options).joinTokens.create(input), options);
    });
}

interface JoinTokenOptions extends CommonOptions {
  readonly role: "host" | "builder" | "seeder";
  readonly uses: number;
  readonly hours: number;
  readonly label: readonly string[];
}

function printSecret(secret: { readonly token: string }, options: CommonOptions): void {
  printAnswer(secret, options.json === true, ({ token }) => token);
}
