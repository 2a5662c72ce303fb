// `bench transfer`: one host agent fetches an artifact of random bytes from one seeder, over real sockets
// on loopback, from disk to disk, verified. `bench swarm` (swarm/swarm.ts) does it with several hosts; with
// `--serving`, other members take from the agent meanwhile, and the figure is its memory.
import type { Command } from "commander";
import type { Finish } from "../result.ts";
import { compare } from "./comparison.ts";
import { measureServing } from "./serving.ts";

interface TransferOptions {
  readonly mib: number;
  readonly runs: number;
  readonly with?: string;
  readonly plain?: boolean;
  readonly serving?: number;
  readonly json?: boolean;
}

export function addTransferBench(program: Command, finish: Finish): void {
  program
    .command("transfer")
    .description("One agent fetches from one seeder over loopback")
    .option("--mib <number>", "size of the artifact", Number, 512)
    .option("--runs <number>", "artifacts, one after the other", Number, 3)
    .option("--with <tool>", "measure libtorrent alternately with ours")
    .option("--plain", "without encryption")
    .option("--serving <peers>", "members that take from the agent meanwhile", Number)
    .option("--json", "print the JSON line alone")
    .action(async ({ serving, ...options }: TransferOptions) => {
      const { json = false } = options;
      if (serving !== undefined) {
        finish("transfer", await measureServing({ mib: options.mib, takers: serving }), json);
        return;
      }
      const { mib, runs, plain = false } = options;
      const measured = await compare({ hosts: 1, mib, runs, plain, with: options.with });
      finish("transfer", measured, json);
    });
}
