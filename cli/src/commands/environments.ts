// `shoal environment create|update|list`: sets of regions and hosts, and their rules.
import type { Command } from "commander";
import { ShoalError } from "@shoal/core/error";
import { minuteMs } from "@shoal/core/units";
import { readFile } from "node:fs/promises";
import { describeEnvironments } from "./describe.ts";
import { parseLabels } from "../service-words.ts";
import { commonOptions, type CommandContext, type CommonOptions } from "./context.ts";
import { printAnswer } from "./print.ts";

interface RuleOptions extends CommonOptions {
  readonly regions?: readonly string[];
  readonly select?: readonly string[];
  readonly promotesFrom?: string;
  readonly promotesAfter?: string;
  readonly deploysBranch?: string;
  readonly policy?: string;
  readonly secretsKey?: string;
}

export function addEnvironmentCommands(program: Command, context: CommandContext): void {
  const environment = program
    .command("environment")
    .description("Environments: sets of regions and hosts with rules of their own");
  withRules(commonOptions(environment.command("create")))
    .description("Add an environment")
    .action(async (name: string, options: RuleOptions) => {
      const rules = await readRules(options);
      const created = await context.connect(options).environments.create({ name, ...rules });
      printAnswer(created, options.json === true, (answer) => describeEnvironments([answer]));
    });
  withRules(commonOptions(environment.command("update")))
    .description("Change what is given of an environment; goals follow at once")
    .action(async (name: string, options: RuleOptions) => {
      const rules = await readRules(options);
      const updated = await context.connect(options).environments.update(name, rules);
      printAnswer(updated, options.json === true, (answer) => describeEnvironments([answer]));
    });
  commonOptions(environment.command("list"))
    .description("List environments")
    .action(async (options: CommonOptions) => {
      const answer = await context.connect(options).environments.list();
      printAnswer(answer, options.json === true, ({ items }) => describeEnvironments(items));
    });
}

function withRules(command: Command): Command {
  return command
    .argument("<name>")
    .option("--regions <name...>", 'only these regions; "all" for every one in service')
    .option("--select <label=value...>", "only hosts with these labels")
    .option("--promotes-from <environment>", 'take only what ran there; "none" for anything')
    .option(
      "--promotes-after <minutes>",
      'deploy by itself what was well there for so long; "never" for not',
    )
    .option("--deploys-branch <name>", 'deploy its successful builds by itself; "none" for not')
    .option("--policy <file>", "JSON of how carefully releases go out (docs/OPERATIONS.md)")
    .option("--secrets-key <key>", "public key that secrets are sealed for");
}

async function readRules(options: RuleOptions) {
  const { regions, select, promotesFrom, promotesAfter, deploysBranch, policy } = options;
  return {
    ...(regions === undefined ? {} : { regions: regions[0] === "all" ? null : [...regions] }),
    ...(select === undefined ? {} : { selector: parseLabels(select) }),
    ...(promotesFrom === undefined ? {} : { promotesFrom: unless("none", promotesFrom) }),
    ...(promotesAfter === undefined
      ? {}
      : { promotesAfterMs: promotesAfter === "never" ? null : parseMinutes(promotesAfter) }),
    ...(deploysBranch === undefined ? {} : { deploysBranch: unless("none", deploysBranch) }),
    // The contract checks what is in it.
    ...(policy === undefined ? {} : { policy: parseJson(await readFile(policy, "utf8"), policy) }),
    ...(options.secretsKey === undefined ? {} : { secretsKey: options.secretsKey }),
  };
}

function unless(word: string, text: string): string | null {
  return text === word ? null : text;
}

function parseMinutes(text: string): number {
  const minutes = Number(text);
  if (Number.isFinite(minutes) && minutes > 0) return Math.round(minutes * minuteMs);
  throw usage(`"${text}" isn't a number of minutes.`);
}

function parseJson(text: string, file: string): object {
  try {
    return JSON.parse(text) as object;
  } catch {
    throw usage(`${file} isn't JSON.`);
  }
}

function usage(message: string): ShoalError {
  return new ShoalError("config_invalid", message, { blame: "local" });
}
