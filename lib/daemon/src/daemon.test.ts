import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { signalRepeatMs } from "@shoal/core/limits";
import { afterEach, describe, expect, test } from "vitest";

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

const children: Child[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

interface Running {
  readonly child: Child;
  readonly output: { stdout: string; stderr: string };
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
}

/** A real process whose `start` is this body, with `context`, `ShoalError` and `readConfig` in reach. */
function run(
  body: string,
  options: { args?: string[]; environment?: NodeJS.ProcessEnv } = {},
): Running {
  const urlOf = (name: string): string => JSON.stringify(new URL(name, import.meta.url).href);
  const script = `
    import { runDaemon } from ${urlOf("./daemon.ts")};
    import { readConfig, processSources } from ${urlOf("./config.ts")};
    import { ShoalError } from ${urlOf("../../../core/src/error.ts")};
    await runDaemon("probe", async (context) => { ${body} });`;
  const args = ["--input-type=module", "-e", script, "--", "probe.ts", ...(options.args ?? [])];
  const child = spawn(process.execPath, args, {
    stdio: ["pipe", "pipe", "pipe"],
    env: { PATH: process.env["PATH"], ...options.environment },
  });
  children.push(child);
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  const ended = once(child, "close").then(([code, signal]) => (code ?? signal) as number | string);
  return { child, output, ended };
}

async function untilReady({ child, output, ended }: Running): Promise<void> {
  while (!output.stdout.includes("\n")) {
    const code = await Promise.race([once(child.stdout, "data").then(() => undefined), ended]);
    if (code !== undefined) throw new Error(`ended with ${code}: ${output.stderr}`);
  }
}

const keepRunning = "setInterval(() => {}, 1000);";
const deferTwo = `
  context.lifecycle.defer("one", () => console.log("one stopped"));
  context.lifecycle.defer("two", () => console.log("two stopped"));`;

/** A step of 50 ms in which `meanwhile` happens. */
const deferSlow = (meanwhile: string): string => `${deferTwo}
  context.lifecycle.defer("slow", () => {
    ${meanwhile}
    return new Promise((resolve) => setTimeout(resolve, 50));
  });`;

describe("daemon", { timeout: 20_000 }, () => {
  test("prints one ready line with its facts, and on SIGTERM stops in order and ends with 0", async () => {
    const running = run(`${keepRunning} ${deferTwo} return { port: 7 };`);
    await untilReady(running);
    expect(running.output.stdout).toBe('{"ready":true,"port":7}\n');
    running.child.kill("SIGTERM");
    expect(await running.ended).toBe(0);
    expect(running.output.stdout).toMatch(/\ntwo stopped\none stopped\n$/);
  });

  test("ends at once on a second signal, which an echo of the first isn't", async () => {
    const running = run(`${keepRunning}
      context.lifecycle.defer("slow", () => { console.log("stopping"); return new Promise(() => {}); });
      return {};`);
    await untilReady(running);
    running.child.kill("SIGINT");
    while (!running.output.stdout.includes("stopping")) await once(running.child.stdout, "data");
    const startMs = performance.now();
    const again = setInterval(() => running.child.kill("SIGINT"), 20);
    expect(await running.ended).toBe(130);
    clearInterval(again);
    expect(performance.now() - startMs).toBeGreaterThan(signalRepeatMs / 2);
  });

  test("stops in order when its parent's end comes with a signal, and keeps a failure's exit code", async () => {
    const both = run(`${keepRunning} ${deferSlow("")} return {};`, {
      environment: { SHOAL_EXIT_WITH_PARENT: "1" },
    });
    const failing = run(
      `${keepRunning} ${deferSlow("setTimeout(() => { throw new Error('late'); }, 5);")} return {};`,
    );
    await Promise.all([untilReady(both), untilReady(failing)]);
    both.child.kill("SIGTERM");
    both.child.stdin.end();
    failing.child.kill("SIGTERM");
    expect(await both.ended).toBe(0);
    expect(both.output.stdout).toMatch(/one stopped\n$/);
    expect(await failing.ended).toBe(1);
    expect(failing.output.stdout).toMatch(/one stopped\n$/);
  });

  test("ends when its stdin does, if it is to end with its parent, and not otherwise", async () => {
    const body = `${keepRunning} ${deferTwo} return {};`;
    const bound = run(body, { environment: { SHOAL_EXIT_WITH_PARENT: "1" } });
    const free = run(body);
    await Promise.all([untilReady(bound), untilReady(free)]);
    bound.child.stdin.end();
    free.child.stdin.end();
    expect(await bound.ended).toBe(0);
    expect(bound.output.stdout).toMatch(/one stopped/);
    expect(free.child.exitCode).toBeNull();
  });

  test.for([
    ["an exception nobody caught", "setTimeout(() => { throw new Error('oops'); }, 1);"],
    ["a rejection nobody handled", "void Promise.reject(new Error('oops'));"],
  ] as const)("logs %s as fatal, stops in order and ends with 1", async ([, fault]) => {
    const running = run(`${keepRunning} ${deferTwo} ${fault} return {};`);
    expect(await running.ended).toBe(1);
    expect(running.output.stdout).toMatch(/two stopped\none stopped\n$/);
    expect(running.output.stderr).toMatch(/"level":"fatal".*oops/);
  });

  test("whose start is refused says why in one line, stops what it had started, and ends with 2", async () => {
    const running = run(`${deferTwo}
      throw new ShoalError("port_taken", "port 7\\nis taken", { blame: "local", hint: "Choose another." });`);
    expect(await running.ended).toBe(2);
    expect(running.output.stderr).toBe("probe: port_taken: port 7 is taken (Choose another.)\n");
    expect(running.output.stdout).toBe("two stopped\none stopped\n");
  });

  test("whose start fails by a mistake of ours logs it as fatal and ends with 1", async () => {
    const running = run(`${deferTwo} throw new TypeError("oops");`);
    expect(await running.ended).toBe(1);
    expect(running.output.stderr).toMatch(/"level":"fatal".*oops/);
    expect(running.output.stdout).toBe("two stopped\none stopped\n");
  });

  test("that is told to stop while it starts stops what it had started", async () => {
    const running = run(`${keepRunning} ${deferTwo} console.log("starting");
      await new Promise((_, reject) => context.signal.addEventListener("abort", () => reject(context.signal.reason)));`);
    await untilReady(running);
    running.child.kill("SIGTERM");
    expect(await running.ended).toBe(0);
    expect(running.output.stdout).toBe("starting\ntwo stopped\none stopped\n");
  });

  test("prints help on stdout and ends with 0; refuses a wrong log level with 2", async () => {
    const body =
      "const { z } = await import('zod'); readConfig(z.strictObject({ port: z.int() }), processSources());";
    const help = run(body, { args: ["--help"] });
    const wrong = run(body, { environment: { SHOAL_LOG_LEVEL: "loud" } });
    expect(await help.ended).toBe(0);
    expect(help.output.stdout).toMatch(/--port <number>/);
    expect(await wrong.ended).toBe(2);
    expect(wrong.output.stderr).toMatch(/^probe: config_invalid: --log-level/);
  });

  test("goes on when nobody reads its stdout any more", async () => {
    const running = run(`setInterval(() => console.log("tick"), 5); ${deferTwo} return {};`);
    await untilReady(running);
    running.child.stdout.destroy();
    await once(running.child.stderr, "data");
    while (!running.output.stderr.includes("stdout is closed"))
      await once(running.child.stderr, "data");
    running.child.kill("SIGTERM");
    expect(await running.ended).toBe(0);
  });
});
