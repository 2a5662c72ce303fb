// `shoal pause|resume|abort|troubled`: what a person does to a rollout under way, and who is in trouble.
import type { Command } from "commander";
import type { Client } from "@shoal/api/client";
import type { Rollout } from "@shoal/api/control-plane";
import { renderTable } from "../table.ts";
import { commonOptions, splitService, type CommandContext, type CommonOptions } from "./context.ts";
import { describeRollout } from "./describe.ts";
import { printAnswer } from "./print.ts";

type ReasonOptions = CommonOptions & { readonly reason: string };

export function addOperateCommands(program: Command, context: CommandContext): void {
  const verb = (
    name: string,
    description: string,
    tell: (client: Client, target: [string, string], reason: string) => Promise<Rollout>,
  ): void => {
    commonOptions(program.command(name))
      .description(description)
      .argument("<service>", "environment/service, or service in production")
      .option("--reason <text>", "why, for whoever looks at the rollout", "")
      .action(async (target: string, options: ReasonOptions) => {
        const { environment, service } = splitService(target);
        const client = context.connect(options);
        const rollout = await tell(client, [environment, service], options.reason);
        printAnswer(rollout, options.json === true, describeRollout);
      });
  };
  verb(
    "pause",
    "Let a rollout open nobody further; failures still halt it",
    (client, target, reason) => client.services.pause(...target, { reason }),
  );
  verb("resume", "Let a paused rollout go on", (client, target) =>
    client.services.resume(...target),
  );
  verb(
    "abort",
    "Give a deploy up: its hosts go back to what ran before",
    (client, target, reason) => client.services.abort(...target, { reason }),
  );
  commonOptions(program.command("troubled"))
    .description("Hosts that failed a release in a service's newest rollout, and why")
    .argument("<service>", "environment/service, or service in production")
    .action(async (target: string, options: CommonOptions) => {
      const { environment, service } = splitService(target);
      const answer = await context.connect(options).services.troubled(environment, service);
      printAnswer(answer, options.json === true, ({ items, failed }) =>
        failed === 0
          ? "no host failed a release"
          : `${renderTable(
              ["REGION", "HOST", "RELEASE", "CODE", "WHY"],
              items.map((item) => [
                item.region,
                item.host,
                item.release ?? "",
                item.code,
                item.message,
              ]),
            )}\n${items.length} of ${failed} hosts that failed`,
      );
    });
}
