// `npm run bench -- <name> [options] --json`: finds the benchmark, runs it, prints its result.
// Progress goes to standard error; the last line of standard output is one JSON object.
import { Command, CommanderError } from "commander";
import { addChunkBench } from "./chunk.ts";
import { addContentBench } from "./content/content.ts";
import { addDeltaBench } from "./content/delta.ts";
import { addJourneyBench } from "./content/journey.ts";
import { addQueueBench } from "./queue/queue.ts";
import { addCalibrateBench } from "./lan/calibrate.ts";
import { addLanBench } from "./lan/lan.ts";
import { createResult, type Measured } from "./result.ts";
import { addSimBench } from "./sim/sim.ts";
import { addSwarmBench } from "./swarm/swarm.ts";
import { addWakeBench } from "./swarm/wake.ts";
import { addTransferBench } from "./transfer/transfer.ts";

const program = new Command("bench").description("Measure Shoal").exitOverride();

/** Prints a result: one JSON line, after a readable list of figures unless `--json` asks for it alone. */
function finish(name: string, measured: Measured, json: boolean): void {
  const result = createResult(name, measured);
  if (!json) {
    for (const [figure, value] of Object.entries(result.figures))
      process.stdout.write(`${figure.padEnd(36)} ${value}\n`);
  }
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

addChunkBench(program, finish);
addContentBench(program, finish);
addDeltaBench(program, finish);
addJourneyBench(program, finish);
addCalibrateBench(program, finish);
addLanBench(program, finish);
addQueueBench(program, finish);
addSimBench(program, finish, process);
addSwarmBench(program, finish);
addTransferBench(program, finish);
addWakeBench(program, finish);

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : 2;
}
