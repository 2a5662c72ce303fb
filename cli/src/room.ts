// Runs one of the processes in the foreground. The command line imports none of them.
import { roomEnvironment, roomMain, runtimeFlags, type Room } from "@shoal/daemon/room-main";
import type { Environment } from "./environment.ts";
import { spawn } from "node:child_process";
import { constants } from "node:os";

/** Runs a process in the foreground with our own input and output; answers its exit status. */
export async function runRoom(
  room: Room,
  args: readonly string[],
  environment: Environment,
): Promise<number> {
  const child = spawn(process.execPath, [...runtimeFlags, roomMain(room), ...args], {
    stdio: "inherit",
    env: { ...roomEnvironment(), ...environment },
  });
  const forward = (signal: NodeJS.Signals): void => {
    child.kill(signal);
  };
  process.on("SIGTERM", forward);
  process.on("SIGINT", forward);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) => {
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
      });
    });
  } finally {
    process.off("SIGTERM", forward);
    process.off("SIGINT", forward);
  }
}
