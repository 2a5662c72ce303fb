// Every sandbox by the same rules, with real processes: bubblewrap and none, in a control group and
// without one, as far as this machine has them. What can't be had here is skipped by name.
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { cp, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "@shoal/daemon/log";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { markedProcesses } from "../processes.ts";
import { openScratch } from "../scratch.ts";
import { placeSecrets } from "../secrets/project-secrets.ts";
import { giveToBuild, makeWorkspace, removeTree } from "../workspace.ts";
import { createBubblewrap } from "./bubblewrap.ts";
import type { Limiter } from "./limiter.ts";
import { openLimiter } from "./open-limiter.ts";
import { createPlain } from "./plain.ts";
import type { Sandbox, SandboxEnd, SandboxRun } from "./sandbox.ts";
import { fillToolbox, systemMounts } from "./toolbox.ts";

// Builds on a machine that others use too.
vi.setConfig({ testTimeout: 30_000 });

const searchPath = process.env["PATH"] ?? "/usr/bin:/bin";
const log = createLog("test", "silent");
const isRoot = process.getuid?.() === 0;
const uid = isRoot ? 64_010 : null;
const mebibyte = 1024 * 1024;
const limits = {
  memoryBytesMax: 256 * mebibyte,
  cpuPercentMax: 200,
  processesMax: 64,
  timeoutMs: 30_000,
  diskBytesMax: 64 * mebibyte,
};

const exampleFolder = new URL("../../../examples/greeter", import.meta.url).pathname;
const root = realpathSync(mkdtempSync(join(tmpdir(), "shoal-sandbox-")));
const secret = join(root, "key");
let scratch: Awaited<ReturnType<typeof openScratch>>;
let toolbox = "";

interface BuildOptions extends Partial<SandboxRun> {
  readonly prepare?: (source: string) => Promise<void>;
}

const probe = await openLimiter({ log }, "sandboxtest-probe");
await probe?.close();
const hasBubblewrap = await isInstalled("bwrap");

async function isInstalled(program: string): Promise<boolean> {
  const folders = await Promise.all(
    searchPath.split(":").map((at) => readdir(at).catch((): string[] => [])),
  );
  return folders.some((names) => names.includes(program));
}

beforeAll(async () => {
  writeFileSync(secret, "secret", { mode: 0o600 });
  scratch = await openScratch(root, { uid, searchPath });
  toolbox = join(scratch.folder, "..", `${isRoot ? "shoal-test-tools-" : "tools-"}${process.pid}`);
  await fillToolbox(toolbox, process.execPath);
});

afterAll(async () => {
  await removeTree(toolbox, searchPath);
  await scratch.close();
  rmSync(root, { recursive: true, force: true });
});

for (const isolation of ["bubblewrap", "none"] as const) {
  for (const limited of ["control group", "rlimits"] as const) {
    const missing =
      isolation === "bubblewrap" && !hasBubblewrap
        ? "bubblewrap isn't installed"
        : limited === "control group" && probe === null
          ? "no control group can be written"
          : null;
    const name = `${isolation} with ${limited}`;
    // Where the kernel counts processes by user alone, one build's fork bomb is every build's.
    const concurrent = limited === "control group" || isolation === "bubblewrap";
    const title = missing === null ? name : `${name} (${missing})`;
    describe(title, { concurrent, skip: missing !== null }, () => {
      // What doesn't depend on how builds are limited is shown once for each kind of isolation.
      const alone = limited === "control group" || probe === null;
      rules(isolation, limited === "control group", alone);
    });
  }
}

function rules(isolation: "bubblewrap" | "none", limited: boolean, all: boolean): void {
  const scope = `sandboxtest-${process.pid}-${isolation}-${limited}`;
  let limiter: Limiter | null = null;
  let sandbox: Sandbox;
  let count = 0;

  beforeAll(async () => {
    limiter = limited ? await openLimiter({ log }, scope) : null;
    const deps = { log, limiter, scope, searchPath, uid };
    sandbox =
      isolation === "none"
        ? createPlain(deps, { toolbox })
        : await createBubblewrap(deps, {
            mounts: await systemMounts(toolbox, []),
            toolbox,
            arch: process.arch,
            trialFolder: scratch.folder,
          });
  });

  afterAll(async () => {
    await limiter?.close();
    expect(await markedProcesses(`${scope}/`)).toEqual([]);
  });

  async function build(
    command: string,
    { prepare, ...options }: BuildOptions = {},
  ): Promise<{ readonly end: SandboxEnd; readonly output: string }> {
    const id = `run-${(count += 1)}`;
    const workspace = await makeWorkspace(scratch.folder, `${scope}-${id}`, { uid, searchPath });
    const output: Uint8Array[] = [];
    try {
      await prepare?.(workspace.folders.source);
      await giveToBuild(workspace, { uid, searchPath });
      const end = await sandbox.run({
        id,
        workspace: workspace.folder,
        folders: workspace.folders,
        command,
        environment: { SHOAL_COMMIT: "abc" },
        limits,
        proxyFolder: null,
        onOutput: async (bytes) => void output.push(bytes),
        signal: new AbortController().signal,
        ...options,
      });
      expect(await markedProcesses(`${scope}/${id}/`)).toEqual([]);
      return { end, output: Buffer.concat(output).toString("utf8") };
    } finally {
      await removeTree(workspace.folder, searchPath);
    }
  }

  async function giveSecret(folder: string): Promise<void> {
    const bytes = new TextEncoder().encode("hunter2-hunter2\n");
    await placeSecrets([{ name: "TOKEN", bytes }], folder, uid);
  }

  /** Puts the example's first version into the checkout. */
  async function layOutExample(source: string): Promise<void> {
    for (const part of ["source", "versions/v1"]) {
      await cp(join(exampleFolder, part), source, { recursive: true });
    }
  }

  const within = (changes: Partial<typeof limits>): Partial<SandboxRun> => ({
    limits: { ...limits, ...changes },
  });

  test("tells a build that eats memory from one that fails", async () => {
    const eat = `node -e "const all=[]; for(;;) all.push(Buffer.alloc(8*1024*1024, 1))"`;
    const { end } = await build(`${eat}; echo survived`);
    expect(end).toEqual({ type: "outOfMemory" });
  });

  test("holds a fork bomb until its time is up, and leaves nothing of it", async () => {
    const bomb = "bomb() { bomb | bomb & }; bomb; sleep 100";
    const { end } = await build(bomb, within({ timeoutMs: 1500, processesMax: 32 }));
    expect(["late", "exited"]).toContain(end.type);
  });

  test("stops a build that fills the disk with many files", async () => {
    const fill = "n=0; while :; do n=$((n+1)); head -c 1000000 /dev/zero > f$n; done";
    const { end } = await build(fill, within({ diskBytesMax: 20 * mebibyte }));
    expect(end).toMatchObject({ type: "outOfDisk" });
  });

  test("refuses a single file beyond the disk's limit at once", async () => {
    const { end } = await build(
      "head -c 100000000 /dev/zero > large",
      within({ diskBytesMax: mebibyte }),
    );
    expect(end.type === "outOfDisk" || (end.type === "exited" && end.exitCode !== 0)).toBe(true);
  });

  if (!all) return;

  test("runs a command in the checkout and gives its exit code", async () => {
    const { end, output } = await build("echo hi > a && cat a; pwd; exit 7");
    expect(end).toEqual({ type: "exited", exitCode: 7 });
    expect(output).toMatch(isolation === "none" ? /^hi\n.*source\n$/ : /^hi\n\/build\n$/);
  });

  test("shows the project's secrets to the build, which can't change them", async () => {
    const { end, output } = await build(
      'cat "$SHOAL_SECRETS/TOKEN"; echo more >> "$SHOAL_SECRETS/TOKEN" || echo refused',
      { prepare: async (source) => giveSecret(join(source, "..", "secrets")) },
    );
    expect(end).toEqual({ type: "exited", exitCode: 0 });
    expect(output).toMatch(/^hunter2-hunter2\n.*refused\n$/s);
  });

  test("keeps the order of what is written to stdout and stderr", async () => {
    const { output } = await build("for n in 1 2 3 4 5; do echo $n; echo e$n >&2; done");
    expect(output).toBe("1\ne1\n2\ne2\n3\ne3\n4\ne4\n5\ne5\n");
  });

  test("lets programs open /dev/stdout and /dev/stderr", async () => {
    const { output, end } = await build("echo a > /dev/stderr; echo b | tee /dev/stdout");
    expect(end).toEqual({ type: "exited", exitCode: 0 });
    expect(output).toBe("a\nb\nb\n");
  });

  test("builds the example", async () => {
    const { end, output } = await build(
      "node build.mjs && ls -l dist && test -x dist/bin/greeter",
      {
        limits: { ...limits, diskBytesMax: 256 * mebibyte },
        prepare: layOutExample,
      },
    );
    expect(output).toContain("greeter 1.0.0 built");
    expect(end).toEqual({ type: "exited", exitCode: 0 });
  });

  test("has our Node first on the PATH", async () => {
    const { output } = await build("node --version");
    expect(output.trim()).toBe(process.version);
  });

  test("gives the build a clean environment with the variables of the run", async () => {
    const { output } = await build("env | cut -d= -f1 | sort | tr '\\n' ' '");
    expect(output).toContain("SHOAL_COMMIT");
    for (const name of Object.keys(process.env).filter((key) => key.startsWith("VITEST"))) {
      expect(output).not.toContain(name);
    }
  });

  test("has a home and a temporary folder that can be written", async () => {
    const { end } = await build('touch "$HOME/x" "$TMPDIR/x"');
    expect(end).toEqual({ type: "exited", exitCode: 0 });
  });

  test.skipIf(!isRoot && isolation === "none")("can't read the builder's key", async () => {
    const { end, output } = await build(`cat ${secret}`);
    expect(end).toMatchObject({ type: "exited", exitCode: 1 });
    expect(output).not.toContain("secret");
  });

  test("can't gain privileges", async () => {
    const { output } = await build("grep -E 'NoNewPrivs|CapEff' /proc/self/status; id -u");
    expect(output).toContain("NoNewPrivs:\t1");
    expect(output).toContain("CapEff:\t0000000000000000");
    expect(output).not.toMatch(/^0$/m);
  });

  test("passes output of any size through a reader that takes its time", async () => {
    let bytes = 0;
    const { end } = await build("head -c 3000000 /dev/zero", {
      onOutput: async (portion) => {
        bytes += portion.length;
        await new Promise((resolve) => setImmediate(resolve));
      },
    });
    expect(end).toEqual({ type: "exited", exitCode: 0 });
    expect(bytes).toBe(3_000_000);
  });

  test("ends what a build leaves in the background", async () => {
    const startMs = performance.now();
    const { end } = await build("setsid sleep 1000 & sleep 1000 & (sleep 1000 &) ; echo done");
    expect(end).toEqual({ type: "exited", exitCode: 0 });
    expect(performance.now() - startMs).toBeLessThan(10_000);
  });

  test("kills a build that takes too long and heeds no signal", async () => {
    const { end } = await build(
      "trap '' TERM INT HUP; while :; do sleep 1; done",
      within({ timeoutMs: 1000 }),
    );
    expect(end).toEqual({ type: "late" });
  });

  test("kills a build when it is told to stop", async () => {
    const controller = new AbortController();
    const { end } = await build("echo started; sleep 1000", {
      signal: controller.signal,
      onOutput: async () => controller.abort(),
    });
    expect(end).toEqual({ type: "stopped" });
  });

  test("kills a build that nobody reads any more", async () => {
    const failing = build("yes", { onOutput: () => Promise.reject(new Error("no reader")) });
    await expect(failing).rejects.toThrow("no reader");
  });

  test.runIf(isolation === "bubblewrap")("isolates the build from the machine", async () => {
    const { output } = await build(`
      ls /proc | grep -c '^[0-9]*$'
      touch /usr/x /etc/x /x 2>/dev/null || echo read-only
      grep Seccomp: /proc/self/status
      unshare --user true 2>/dev/null || echo no namespaces
      node -e '
        const net = require("node:net");
        net.connect(53, "1.1.1.1").on("error", (error) => console.log("network", error.code));
        console.log(Object.keys(require("node:os").networkInterfaces()).join() || "lo");'
    `);
    expect(Number(output.split("\n")[0])).toBeLessThan(10);
    expect(output).toContain("Seccomp:\t2");
    expect(output).toContain("read-only");
    expect(output).toContain("no namespaces");
    expect(output).toContain("network ENETUNREACH");
    expect(output).toContain("lo");
  });
}
