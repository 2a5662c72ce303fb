// `shoal build start|status|logs|list`.
import { InvalidArgumentError, type Command } from "commander";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@shoal/api/client";
import { isFinalBuildState } from "@shoal/core/build/state";
import { exitCodes } from "../exit-codes.ts";
import { followBuild } from "../follow.ts";
import { describeBuild, describeBuilds } from "./describe.ts";
import { describeAttempts, describeQueue, describeWhy } from "./describe-queue.ts";
import { describeTests } from "./describe-tests.ts";
import { printAnswer } from "./print.ts";
import { commonOptions, type CommandContext, type CommonOptions } from "./context.ts";

const listLimit = 50;
const logWaitMs = 5000;
const watchDeadlineMs = 6 * 3_600_000;

export function addBuildCommands(program: Command, context: CommandContext): void {
  const build = program.command("build").description("Start builds and look at them");
  addStart(build, context);
  addLooking(build, context);
  addChanging(build, context);
  commonOptions(program.command("queue"))
    .description("The queue: depth, oldest age, builders and how many are wanted")
    .action(async (options: CommonOptions) => {
      const answer = await context.connect(options).builds.queue();
      printAnswer(answer, options.json === true, describeQueue);
    });
}

function addStart(build: Command, context: CommandContext): void {
  commonOptions(build.command("start"))
    .description("Ask for a build of a commit; the same commit asked for twice is one build")
    .argument("<project>")
    .argument("<commit>", "full commit id")
    .option("--priority <number>", "larger goes first, -100 to 100", parseInteger, 0)
    .option("--watch", "wait for its end")
    .action(
      async (
        project: string,
        commit: string,
        options: CommonOptions & { priority: number; watch?: boolean },
      ) => {
        const client = context.connect(options);
        const started = await client.builds.start({ project, commit, priority: options.priority });
        if (options.watch !== true)
          return printAnswer(started, options.json === true, describeBuild);
        const ended = await watch(client, started.id);
        printAnswer(ended, options.json === true, describeBuild);
        if (ended.state !== "SUCCEEDED") process.exitCode = exitCodes.failed;
      },
    );
}

function addLooking(build: Command, context: CommandContext): void {
  commonOptions(build.command("status"))
    .description("What a build is doing and what became of it")
    .argument("<build>", "its number", parseInteger)
    .option("--watch", "wait for its end")
    .action(async (id: number, options: CommonOptions & { watch?: boolean }) => {
      const client = context.connect(options);
      const answer = options.watch === true ? await watch(client, id) : await client.builds.get(id);
      printAnswer(answer, options.json === true, describeBuild);
    });
  commonOptions(build.command("why"))
    .description("Why a build waits: position, who is ahead, caps, builders, expected start")
    .argument("<build>", "its number", parseInteger)
    .action(async (id: number, options: CommonOptions) => {
      const answer = await context.connect(options).builds.why(id);
      printAnswer(answer, options.json === true, describeWhy);
    });
  commonOptions(build.command("attempts"))
    .description("Every attempt of a build and how it ended")
    .argument("<build>", "its number", parseInteger)
    .action(async (id: number, options: CommonOptions) => {
      const answer = await context.connect(options).builds.attempts(id);
      printAnswer(answer, options.json === true, ({ items }) => describeAttempts(items));
    });
  commonOptions(build.command("tests"))
    .description("What the build's test stage left: cases that failed, counts, coverage")
    .argument("<build>", "its number", parseInteger)
    .option("--all", "every case that is kept, not only those that failed")
    .action(async (id: number, options: CommonOptions & { all?: boolean }) => {
      const answer = await context.connect(options).builds.tests(id);
      printAnswer(answer, options.json === true, ({ items }) =>
        describeTests(items, options.all === true),
      );
    });
  commonOptions(build.command("list"))
    .description("The newest builds")
    .option("--project <name>", "only of this project")
    .action(async (options: CommonOptions & { project?: string }) => {
      const query = options.project === undefined ? {} : { project: options.project };
      const answer = await context.connect(options).builds.list({ ...query, limit: listLimit });
      printAnswer(answer, options.json === true, ({ items }) => describeBuilds(items));
    });
  commonOptions(build.command("logs"))
    .description("The log of a build; with --follow until it ends")
    .argument("<build>", "its number", parseInteger)
    .option("--follow", "go on until the build ends")
    .option("--check", "instead: is what is stored still what came in, by its chain of hashes")
    .action(async (id: number, options: CommonOptions & { follow?: boolean; check?: boolean }) => {
      const client = context.connect(options);
      if (options.check !== true) return copyLog(client, id, options);
      const checked = await client.builds.checkLog(id);
      printAnswer(checked, options.json === true, ({ segments, bytes, chain, brokenAt }) =>
        brokenAt === null
          ? `${segments} segments, ${bytes} bytes, as they came in; chain ${chain ?? "empty"}`
          : `the segment at byte ${brokenAt} isn't what came in`,
      );
      if (checked.brokenAt !== null) process.exitCode = exitCodes.failed;
      return undefined;
    });
}

function addChanging(build: Command, context: CommandContext): void {
  commonOptions(build.command("cancel"))
    .description("Stop a build; it ends CANCELLED once its processes are proved gone")
    .argument("<build>", "its number", parseInteger)
    .action(async (id: number, options: CommonOptions) => {
      const canceled = await context.connect(options).builds.cancel(id);
      printAnswer(canceled, options.json === true, describeBuild);
    });
  commonOptions(build.command("retry"))
    .description("Ask for another build of the commit of one that failed or was cancelled")
    .argument("<build>", "its number", parseInteger)
    .action(async (id: number, options: CommonOptions) => {
      const answer = await context.connect(options).builds.retry(id);
      printAnswer(answer, options.json === true, describeBuild);
    });
}

async function watch(
  client: Client,
  id: number,
): Promise<Awaited<ReturnType<Client["builds"]["get"]>>> {
  let last = "";
  return followBuild(client, id, { pollMs: 500, deadlineMs: watchDeadlineMs }, (build) => {
    if (build.state !== last) process.stderr.write(`build ${build.id}: ${build.state}\n`);
    last = build.state;
  });
}

async function copyLog(
  client: Client,
  id: number,
  options: CommonOptions & { follow?: boolean },
): Promise<void> {
  const decoder = new TextDecoder();
  let offset = 0;
  for (;;) {
    const part = await client.builds.log(id, {
      offset,
      waitMs: options.follow === true ? logWaitMs : 0,
    });
    if (part.bytes.length > 0) {
      const text = decoder.decode(part.bytes, { stream: true });
      process.stdout.write(options.json === true ? `${JSON.stringify({ offset, text })}\n` : text);
    }
    offset = part.nextOffset;
    if (part.ended && part.bytes.length === 0) return;
    if (part.bytes.length > 0) continue;
    if (options.follow !== true) return;
    // A build that ended without our seeing the log's end, for example one that never started.
    if (isFinalBuildState((await client.builds.get(id)).state)) return;
    await sleep(200);
  }
}

export function parseInteger(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value)) throw new InvalidArgumentError("must be a whole number");
  return value;
}
