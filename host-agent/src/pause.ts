// `shoal agent pause|resume <artifact or service>` and `shoal agent pauses`: what a person keeps from being
// downloaded to this host. Writes to the state folder only; the agent takes note when it looks there next,
// or when it is started.
import { ShoalError } from "@shoal/core/error";
import { readConfig, type ConfigSources } from "@shoal/daemon/config";
import { z } from "zod";
import { agentConfig } from "./config.ts";
import { readPauses, readTarget, writePause } from "./pauses.ts";

const pauseConfig = z.strictObject({
  stateDir: agentConfig.shape.stateDir,
  json: z.boolean().default(false).describe("print one JSON line"),
});

export const pauseCommands = ["pause", "resume", "pauses"] as const;
export type PauseCommand = (typeof pauseCommands)[number];

export function isPauseCommand(text: string | undefined): text is PauseCommand {
  return pauseCommands.some((command) => command === text);
}

/** Runs a command, whose argument comes before its flags, and answers its exit status: 2 when it can't run. */
export async function runPause(
  command: PauseCommand,
  { argv, ...rest }: ConfigSources,
  print: (line: string) => void,
): Promise<number> {
  const isNamed = command !== "pauses" && argv[0]?.startsWith("-") === false;
  try {
    const sources = { ...rest, argv: isNamed ? argv.slice(1) : argv };
    const { stateDir, json } = readConfig(pauseConfig, sources);
    if (command === "pauses") {
      const paused = await readPauses(stateDir);
      print(json ? JSON.stringify({ paused }) : paused.join("\n") || "Nothing is paused here.");
      return 0;
    }
    const target = readTarget(isNamed ? (argv[0] ?? "") : "");
    const isPaused = command === "pause";
    const changed = await writePause(stateDir, target, isPaused);
    if (json) print(JSON.stringify({ target, paused: isPaused, changed }));
    else print(describe(target, isPaused, changed));
    return 0;
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    print(error.hint === undefined ? error.message : `${error.message}\n${error.hint}`);
    return error.code === "help_requested" ? 0 : 2;
  }
}

function describe(target: string, isPaused: boolean, changed: boolean): string {
  if (!changed) return isPaused ? `${target} is paused already` : `${target} wasn't paused`;
  return isPaused
    ? `${target} is paused: nothing of it is downloaded here until shoal agent resume ${target}`
    : `${target} goes on`;
}
