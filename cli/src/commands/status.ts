// `shoal status` and `shoal hosts`: what is there and what it does.
import type { Command } from "commander";
import type { Client } from "@shoal/api/client";
import type { HostStatus } from "@shoal/api/seeder";
import { commonOptions, type CommandContext, type CommonOptions } from "./context.ts";
import {
  describeBuilds,
  describeHosts,
  describeRegions,
  describeRollouts,
  describeServices,
} from "./describe.ts";
import { printAnswer } from "./print.ts";

const recentCount = 10;
const hostPageSize = 200;

export function addStatusCommands(program: Command, context: CommandContext): void {
  commonOptions(program.command("status"))
    .description("Regions, services, and the newest builds and rollouts")
    .action(async (options: CommonOptions) => {
      printAnswer(
        await readStatus(context.connect(options)),
        options.json === true,
        describeStatus,
      );
    });
  commonOptions(program.command("hosts"))
    .description("Every host, what it runs and what it waits for")
    .option("--region <name>", "only of this region")
    .action(async (options: CommonOptions & { readonly region?: string }) => {
      const client = context.connect(options);
      const { items, unreachable } = await readHosts(client, options.region);
      const commits = await releaseCommits(client);
      for (const { region, seeder, reason } of unreachable)
        process.stderr.write(`the hosts of seeder ${seeder} in ${region} are missing: ${reason}\n`);
      printAnswer({ items, unreachable }, options.json === true, (answer) =>
        describeHosts(answer.items, commits),
      );
    });
}

type HostsPage = Awaited<ReturnType<Client["hosts"]["list"]>>;

/** Every host of one region or of all, page by page, and seeders that didn't say theirs. */
export async function readHosts(
  client: Client,
  region: string | undefined,
): Promise<Pick<HostsPage, "items" | "unreachable">> {
  const items: HostStatus[] = [];
  const unreachable: HostsPage["unreachable"] = [];
  let cursor: string | null = null;
  do {
    const page: HostsPage = await client.hosts.list({
      ...(region === undefined ? {} : { region }),
      ...(cursor === null ? {} : { cursor }),
      limit: hostPageSize,
    });
    items.push(...page.items);
    unreachable.push(...page.unreachable);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return { items, unreachable };
}

/** Commits by release id, from the newest rollouts: a host knows only ids. */
export async function releaseCommits(client: Client): Promise<ReadonlyMap<string, string>> {
  const rollouts = await client.rollouts.list({ limit: 100 });
  const releases = rollouts.items.flatMap(({ release, previous }) =>
    previous === null ? [release] : [release, previous],
  );
  return new Map(releases.map((release) => [release.id, release.commit]));
}

type Status = Awaited<ReturnType<typeof readStatus>>;

async function readStatus(client: Client) {
  const [regions, services, builds, rollouts, quarantines] = await Promise.all([
    client.regions.list(),
    client.services.list(),
    client.builds.list({ limit: recentCount }),
    client.rollouts.list({ limit: recentCount }),
    client.quarantines.list(),
  ]);
  return {
    regions: regions.items,
    services: services.items,
    builds: builds.items,
    rollouts: rollouts.items,
    quarantines: quarantines.items,
  };
}

function describeStatus(status: Status): string {
  const parts = [
    describeRegions(status.regions),
    describeServices(status.services),
    describeBuilds(status.builds),
    describeRollouts(status.rollouts),
  ];
  for (const held of status.quarantines) {
    parts.push(
      `${held.release} of ${held.environment}/${held.service} is quarantined: ${held.reason}`,
    );
  }
  return parts.join("\n\n");
}
