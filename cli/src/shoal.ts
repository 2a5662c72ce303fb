// The `shoal` command, all of it: reads the command line, calls, prints. Exit statuses are in exit-codes.ts.
import { Command, CommanderError } from "commander";
import { addArtifactCommands } from "./commands/artifact.ts";
import { addBuildCommands } from "./commands/build.ts";
import { addDemoCommand } from "./commands/demo.ts";
import { addEnvironmentCommands } from "./commands/environments.ts";
import { addOperateCommands } from "./commands/operate.ts";
import { addDeployCommands } from "./commands/deploy.ts";
import { printError } from "./commands/print.ts";
import { addDoctorCommand } from "./commands/doctor.ts";
import { addProcessCommands } from "./commands/processes.ts";
import { addSecretCommands } from "./commands/secrets.ts";
import { addSetupCommands } from "./commands/setup.ts";
import { addStatusCommands } from "./commands/status.ts";
import { addTrustCommands } from "./commands/trust.ts";
import { addWhyCommand } from "./commands/why.ts";
import { connect } from "./connection.ts";
import type { Environment } from "./environment.ts";
import { exitCodes } from "./exit-codes.ts";

/** Runs the command line of this process; answers the exit status, or undefined to leave it as it is. */
export async function runShoal(environment: Environment): Promise<number | undefined> {
  const program = new Command("shoal")
    .description("From a commit to a running release on every machine of a fleet")
    .enablePositionalOptions()
    .exitOverride();
  const context = {
    connect: (options: Parameters<typeof connect>[0]) => connect(options, environment),
  };
  addDemoCommand(program, environment);
  addArtifactCommands(program);
  addBuildCommands(program, context);
  addDeployCommands(program, context);
  addOperateCommands(program, context);
  addEnvironmentCommands(program, context);
  addSecretCommands(program, context);
  addSetupCommands(program, context);
  addStatusCommands(program, context);
  addTrustCommands(program, context);
  addWhyCommand(program, context);
  addProcessCommands(program, environment);
  addDoctorCommand(program, environment);
  try {
    await program.parseAsync();
    return undefined;
  } catch (error) {
    if (!(error instanceof CommanderError)) return printError(error);
    // Commander has printed its own message, and help isn't an error.
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  }
}
