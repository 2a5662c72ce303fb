// `shoal deploy`, `shoal rollback`, `shoal allow`: what changes what a service runs.
import type { Command } from "commander";
import type { Client } from "@shoal/api/client";
import type { Rollout } from "@shoal/api/control-plane";
import { exitCodes } from "../exit-codes.ts";
import { followRollout } from "../follow.ts";
import { parseInteger } from "./build.ts";
import { commonOptions, splitService, type CommandContext, type CommonOptions } from "./context.ts";
import { describeRollout, describeServices } from "./describe.ts";
import { printAnswer } from "./print.ts";

const watchDeadlineMs = 6 * 3_600_000;

type RolloutOptions = CommonOptions & { readonly watch?: boolean };

type RollbackOptions = RolloutOptions & { readonly release?: string; readonly waves?: boolean };

export function addDeployCommands(program: Command, context: CommandContext): void {
  commonOptions(program.command("deploy"))
    .description("Bring a succeeded build to every host of a service, wave by wave")
    .argument("<service>", "environment/service, or service in production")
    .argument("<build>", "number of a succeeded build", parseInteger)
    .option("--watch", "wait for its end")
    .action(async (target: string, build: number, options: RolloutOptions) => {
      const client = context.connect(options);
      const { environment, service } = splitService(target);
      await show(client, await client.services.deploy(environment, service, { build }), options);
    });
  commonOptions(program.command("rollback"))
    .description("Go back at once, on all hosts, to what ran before; quarantines what ran")
    .argument("<service>", "environment/service, or service in production")
    .option("--release <id>", "a release that ran before, instead of the newest such")
    .option("--waves", "through waves, instead of everywhere at once")
    .option("--watch", "wait for its end")
    .action(async (target: string, options: RollbackOptions) => {
      const client = context.connect(options);
      const { environment, service } = splitService(target);
      const input = {
        waves: options.waves === true,
        ...(options.release === undefined ? {} : { release: options.release }),
      };
      await show(client, await client.services.rollback(environment, service, input), options);
    });
  commonOptions(program.command("allow"))
    .description("Lift the quarantine of a release, so that it may be deployed again")
    .argument("<service>", "environment/service, or service in production")
    .argument("<release>", "its id, as `shoal status` shows it")
    .action(async (target: string, release: string, options: CommonOptions) => {
      const { environment, service } = splitService(target);
      const answer = await context
        .connect(options)
        .services.allow(environment, service, { release });
      printAnswer(answer, options.json === true, (allowed) => describeServices([allowed]));
    });
}

async function show(client: Client, started: Rollout, options: RolloutOptions): Promise<void> {
  if (options.watch !== true) return printAnswer(started, options.json === true, describeRollout);
  let last = "";
  const ended = await followRollout(
    client,
    started.id,
    { pollMs: 500, deadlineMs: watchDeadlineMs },
    (rollout) => {
      const line = `${rollout.state}: ${rollout.reason}`;
      if (line !== last) process.stderr.write(`rollout ${rollout.id}: ${line}\n`);
      last = line;
    },
  );
  printAnswer(ended, options.json === true, describeRollout);
  if (ended.state !== "SUCCEEDED") process.exitCode = exitCodes.failed;
}
