// Does what docs/OPERATIONS.md says, as it stands there, on three machines made of network namespaces.
import { execFileSync } from "node:child_process";
import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { readBlocks, readMachines, readWords } from "./document.ts";
import { Machine } from "./machine.ts";
import { type Network, createNetwork, whyNoNetwork } from "./network.ts";

const testMsMax = 480_000;
const restoreMsMax = 90_000;
const healthyMsMax = 60_000;
/** What only the block that restores a backup says. */
const restoring = "cp -a /var/lib/shoal/backup ";
const repository = fileURLToPath(new URL("../..", import.meta.url));
const missing = whyNoNetwork();
if (missing !== null) process.stderr.write(`docs/OPERATIONS.md isn't tried out: ${missing}\n`);

let root = "";
let network: Network | undefined;
const machines = new Map<string, Machine>();

afterEach(async () => {
  for (const machine of machines.values()) machine.stop();
  machines.clear();
  network?.close();
  if (root !== "") await rm(root, { recursive: true, force: true, maxRetries: 5 });
  root = "";
});

async function writeProgram(path: string, text: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, 0o755);
}

async function startMachines(): Promise<void> {
  root = await mkdtemp(join(tmpdir(), "shoal-ops-"));
  await chmod(root, 0o711);
  const addresses = await readMachines();
  expect([...addresses.keys()]).toEqual(["control", "seed", "host"]);
  const names = new Map([...addresses].map(([name, address]) => [address, name]));
  const programs = join(root, "bin");
  await mkdir(programs);
  const main = join(repository, "cli/src/main.ts");
  await writeProgram(join(programs, "shoal"), `exec "${process.execPath}" "${main}" "$@"`);
  await copyFile(join(import.meta.dirname, "systemctl.sh"), join(programs, "systemctl"));
  await chmod(join(programs, "systemctl"), 0o755);
  // Paths are those of the machines' folders already: what is left of scp is the copy.
  await writeProgram(join(programs, "scp"), `exec cp -p "$@"`);
  network = createNetwork(addresses);
  for (const name of addresses.keys()) {
    const folder = join(root, name);
    await mkdir(join(folder, "srv"), { recursive: true });
    await mkdir(join(folder, "etc"));
    await mkdir(join(folder, "var/lib"), { recursive: true });
    machines.set(
      name,
      new Machine({
        name,
        namespace: network.namespaceOf(name),
        rootOf: (address) => join(root, address === "" ? name : (names.get(address) ?? "unknown")),
        searchPath: `${programs}:${process.env["PATH"] ?? "/usr/bin:/bin"}`,
      }),
    );
  }
}

test.skipIf(missing !== null)(
  `three machines come up by the commands of OPERATIONS.md${missing === null ? "" : ` (${missing})`}`,
  { timeout: testMsMax },
  async () => {
    await startMachines();
    const blocks = await readBlocks();
    expect(blocks.length).toBeGreaterThan(8);
    const [restore, ...others] = blocks.filter((block) => block.commands.includes(restoring));
    expect({ restore, others }).toMatchObject({ restore: { machine: "control" }, others: [] });
    for (const block of blocks) {
      // Before the backup is restored, more happens.
      if (block === restore) {
        await checkBeforeRestore();
        await type("control", nextVersion, "the next version");
      }
      await type(block.machine, block.commands, `OPERATIONS.md:${block.line}`);
    }
    await checkAfterRestore();
  },
);

async function type(machine: string, commands: string, what: string): Promise<string> {
  const typist = machines.get(machine);
  if (typist === undefined) throw new Error(`${what}: no machine ${machine}`);
  try {
    return await typist.type(commands);
  } catch (error) {
    const said = await Promise.all([...machines.values()].map((each) => each.describe()));
    throw new Error(`${what} doesn't work\n${said.join("\n\n")}`, { cause: error });
  }
}

const nextVersion = `
echo 3 > version
git -c user.name=ops -c user.email=ops@example.org commit --quiet --all --message three
shoal build start hello "$(git rev-parse HEAD)" --watch
shoal deploy hello 3 --watch`;

const programLog = "cat /var/lib/shoal/agent/services/*/hello/log/program.log";

/** Version 1 runs again, as the rollback left it, and upgrading everything hasn't started it anew. */
async function checkBeforeRestore(): Promise<void> {
  // An agent that has just restarted says "not healthy" until its first check of the program.
  await expect
    .poll(readHosts, { timeout: healthyMsMax, interval: 500 })
    .toMatchObject([{ services: [{ service: "hello", healthy: true }] }]);
  expect(versionsIn(await type("host", programLog, "log"))).toEqual(["1", "2", "1"]);
  // Secrets are for their owner alone.
  const modes = await type(
    "control",
    "stat -c '%a %n' /etc/shoal/* /etc/shoal/keys/*.jwk",
    "modes",
  );
  const open = modes
    .trim()
    .split("\n")
    .filter((row) => !/^[67]00 /.test(row));
  expect(open).toEqual([]);
}

async function readHosts(): Promise<unknown> {
  const answer = JSON.parse(await type("control", "shoal hosts --json", "hosts")) as {
    items: unknown;
  };
  return answer.items;
}

/** The host goes back to what the backup knows, and the fleet goes on from there. */
async function checkAfterRestore(): Promise<void> {
  const startMs = performance.now();
  const wanted = ["1", "2", "1", "3", "1"];
  for (let seen: readonly string[] = []; seen.length < wanted.length;) {
    seen = versionsIn(await type("host", programLog, "log"));
    expect(seen).toEqual(wanted.slice(0, seen.length));
    if (performance.now() - startMs > restoreMsMax) {
      throw new Error(`the host didn't go back: ${await machines.get("control")?.describe()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  await type(
    "control",
    nextVersion.replaceAll("3", "4").replace("hello 4 ", "hello 3 "),
    "version 4",
  );
  expect(versionsIn(await type("host", programLog, "log"))).toEqual([...wanted, "4"]);
}

function versionsIn(text: string): readonly string[] {
  return [...text.matchAll(/hello, version (\d)/g)].map(([, version = ""]) => version);
}

test("every key of every process is in OPERATIONS.md", { timeout: 60_000 }, async () => {
  const words = await readWords();
  for (const room of ["control-plane", "seeder", "builder", "host-agent"]) {
    const main = join(repository, room, "src/main.ts");
    const help = execFileSync(process.execPath, [main, "--help"], { encoding: "utf8" });
    const keys = [...help.matchAll(/^ +--([a-z0-9-]+)/gm)].map(([, flag = ""]) =>
      flag.replaceAll(/-([a-z0-9])/g, (_dash, letter: string) => letter.toUpperCase()),
    );
    expect(keys.length).toBeGreaterThan(5);
    const always = new Set(["config", "help"]);
    expect(keys.filter((key) => !words.has(key) && !always.has(key))).toEqual([]);
  }
});
