// `bench transfer`: one host agent fetches an artifact of random bytes from one seeder, over real sockets
// on loopback, from disk to disk, verified. `bench swarm` (swarm/swarm.ts) does it with several hosts.
import type { Command } from "commander";
import type { Finish } from "../result.ts";
import { compare } from "./comparison.ts";

interface TransferOptions {
  readonly mib: number;
  readonly runs: number;
  readonly with?: string;
  readonly plain?: boolean;
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
    .option("--json", "print the JSON line alone")
    .action(async ({ mib, runs, plain = false, json = false, ...rest }: TransferOptions) => {
      const measured = await compare({ hosts: 1, mib, runs, plain, with: rest.with });
      finish("transfer", measured, json);
    });
}
