// `shoal agent events`: what happened in this host's swarms, from the file that the agent writes. Reads
// only, so it works beside a running agent, and after one that crashed.
import { open } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ShoalError } from "@shoal/core/error";
import { eventFileBytesMax, eventFollowMs } from "@shoal/core/limits";
import { readFileBounded } from "@shoal/daemon/atomic-file";
import { readConfig, type ConfigSources } from "@shoal/daemon/config";
import { z } from "zod";
import { agentConfig } from "./config.ts";
import { eventFileNames } from "./event-file.ts";

const eventsConfig = z.strictObject({
  stateDir: agentConfig.shape.stateDir,
  follow: z.boolean().default(false).describe("go on with what happens from now on"),
  json: z.boolean().default(false).describe("print the lines as they are in the file"),
});

const eventLine = z.looseObject({ time: z.string(), type: z.string() });

/** Runs the command and answers its exit status: 2 when it can't run. */
export async function runEvents(
  sources: ConfigSources,
  print: (line: string) => void,
  signal: AbortSignal,
): Promise<number> {
  try {
    const { stateDir, follow, json } = readConfig(eventsConfig, sources);
    for await (const line of eventLines(stateDir, follow, signal)) {
      const text = json ? line : describeEvent(line);
      if (text !== "") print(text);
    }
    return 0;
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    print(error.message);
    return error.code === "help_requested" ? 0 : 2;
  }
}

/** One line for a person: time, what happened, and the rest as `name=value`. Empty for a torn line. */
export function describeEvent(line: string): string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return "";
  }
  const event = eventLine.safeParse(value);
  if (!event.success) return "";
  const { time, type, ...rest } = event.data;
  const facts = Object.entries(rest).map(([name, fact]) => `${name}=${String(fact)}`);
  return [time, type.padEnd(16), ...facts].join(" ");
}

/** Whole lines, the oldest first; with `follow` those that come later too, until the signal. */
async function* eventLines(
  dir: string,
  follow: boolean,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const older = await readFileBounded(join(dir, eventFileNames.older), 2 * eventFileBytesMax);
  if (older !== undefined) yield* linesOf(decoder.decode(older)).lines;
  const path = join(dir, eventFileNames.newest);
  let rest = "";
  let offset = 0;
  for (;;) {
    const part = await readFrom(path, offset);
    if (part.bytes.length === 0 && part.size < offset) {
      // Another file has taken its place.
      offset = 0;
      rest = "";
      continue;
    }
    offset += part.bytes.length;
    const found = linesOf(rest + decoder.decode(part.bytes, { stream: true }));
    rest = found.rest;
    yield* found.lines;
    if (part.bytes.length > 0) continue;
    if (!follow || signal.aborted) return;
    await sleep(eventFollowMs, undefined, { signal }).catch(() => undefined);
  }
}

function linesOf(text: string): { readonly lines: readonly string[]; readonly rest: string } {
  const lines = text.split("\n");
  const rest = lines.pop() ?? "";
  return { lines, rest };
}

async function readFrom(
  path: string,
  offset: number,
): Promise<{ readonly bytes: Uint8Array; readonly size: number }> {
  let file;
  try {
    file = await open(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      return { bytes: new Uint8Array(), size: 0 };
    throw error;
  }
  try {
    const { size } = await file.stat();
    const buffer = new Uint8Array(Math.max(0, Math.min(size - offset, eventFileBytesMax)));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
    return { bytes: buffer.subarray(0, bytesRead), size };
  } finally {
    await file.close();
  }
}
