// One rule for every command: with --json, standard output is the API's answer as one JSON line;
// without, it is text for a person. Progress and errors go to standard error.
import { ShoalError } from "@shoal/core/error";
import { exitCodes } from "../exit-codes.ts";

export function printAnswer<Answer>(
  answer: Answer,
  json: boolean,
  describe: (answer: Answer) => string,
): void {
  process.stdout.write(json ? `${JSON.stringify(answer)}\n` : `${describe(answer)}\n`);
}

/** Says what went wrong and what to do, and answers the exit status for it. */
export function printError(error: unknown): number {
  if (!(error instanceof ShoalError)) {
    process.stderr.write(
      `shoal: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    return exitCodes.unavailable;
  }
  process.stderr.write(`shoal: ${error.message} (${error.code})\n`);
  if (error.hint !== undefined) process.stderr.write(`       ${error.hint}\n`);
  return error.blame === "local" ? exitCodes.usage : exitCodes.unavailable;
}
