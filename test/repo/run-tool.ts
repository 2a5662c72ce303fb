// Runs one of the tools that npm installed and hands back what it said. A tool that doesn't end, or
// says more than anybody reads, is a failure and not an endless wait.
import { spawn } from "node:child_process";
import { delimiter, join } from "node:path";
import { repositoryRoot } from "./repository.ts";

const toolMsMax = 5 * 60_000;
const outputBytesMax = 32 * 1024 * 1024;

export interface ToolResult {
  readonly succeeded: boolean;
  /** Standard output and error, as they came. */
  readonly output: string;
}

/** Runs `node_modules/.bin/<tool>` at the root of the repository, with the Node that npm installed. */
export async function runTool(tool: string, args: readonly string[]): Promise<ToolResult> {
  const bin = join(repositoryRoot, "node_modules/.bin");
  const child = spawn(join(bin, tool), args, {
    cwd: repositoryRoot,
    env: {
      ...process.env,
      PATH: `${bin}${delimiter}${process.env["PATH"] ?? ""}`,
      // Nothing that a check does leaves this machine.
      TURBO_TELEMETRY_DISABLED: "1",
      DO_NOT_TRACK: "1",
      NO_COLOR: "1",
    },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: toolMsMax,
    killSignal: "SIGKILL",
  });
  const parts: Buffer[] = [];
  let byteCount = 0;
  const keep = (part: Buffer): void => {
    byteCount += part.length;
    if (byteCount > outputBytesMax) child.kill("SIGKILL");
    else parts.push(part);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const output = Buffer.concat(parts).toString("utf8");
  const killed = code === null ? `\n${tool} was ended: it took too long or said too much\n` : "";
  return { succeeded: code === 0, output: output + killed };
}
