// Our side of the content benchmarks as a process that runs already, as an agent does when an update comes. What is
// timed is an order: from when it is given until its answer is there.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { shoalRun } from "./run-shoal.ts";

export interface Done {
  readonly wallSeconds: number;
  readonly answer: Readonly<Record<string, unknown>>;
}

/** One order at a time. */
export interface Daemon {
  order(...args: readonly string[]): Promise<Done>;
  stop(): Promise<void>;
}

/** Resolves when the process waits for orders. */
export async function startDaemon(): Promise<Daemon> {
  const child = spawn(process.execPath, [shoalRun, "serve"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<Done["answer"]> => {
    const line = await lines.next();
    if (line.done === true) throw new Error("the process that takes orders has ended");
    return JSON.parse(line.value) as Done["answer"];
  };
  await next();
  return {
    order: async (...args) => {
      const startedAt = performance.now();
      child.stdin.write(`${JSON.stringify(args)}\n`);
      const answer = await next();
      return { wallSeconds: (performance.now() - startedAt) / 1000, answer };
    },
    stop: () => end(child, ended),
  };
}

async function end(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  child.stdin?.end();
  await ended;
}
