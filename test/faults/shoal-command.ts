// The `shoal` command as a person runs it: a child process, its exit status and what it printed.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { faultConfig } from "./config.ts";

export interface CommandEnd {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const shoalMain = fileURLToPath(new URL("../../cli/src/main.ts", import.meta.url));
const commandMsMax = 60_000;

/** `input` is what it reads. */
export function shoal(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  input = "",
): Promise<CommandEnd> {
  return runNode([shoalMain, ...args], environment, input);
}

export function runNode(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  input = "",
): Promise<CommandEnd> {
  const options = {
    env: { PATH: faultConfig.searchPath, ...environment },
    timeout: commandMsMax,
    killSignal: "SIGKILL",
  } as const;
  return new Promise((settle) => {
    const child = execFile(process.execPath, [...args], options, (error, stdout, stderr) => {
      const status = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      settle({ status, stdout, stderr });
    });
    // One that doesn't read may end before it is written.
    child.stdin?.on("error", () => undefined).end(input);
  });
}
