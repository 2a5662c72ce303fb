// Prepare commands with real processes, in every sandbox that this machine has, against a small
// package registry on loopback: what reaches the network, what is kept, and what makes it stale.
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { access, mkdir, readFile, readdir, symlink, writeFile } from "node:fs/promises";
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Lease } from "@shoal/api/builder";
import type { Prepare } from "@shoal/api/control-plane";
import { createLog } from "@shoal/daemon/log";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { markedProcesses } from "../processes.ts";
import { createBubblewrap } from "../sandbox/bubblewrap.ts";
import { createPlain } from "../sandbox/plain.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { fillToolbox, systemMounts } from "../sandbox/toolbox.ts";
import { openScratch } from "../scratch.ts";
import { type Workspace, giveToBuild, makeWorkspace, removeTree } from "../workspace.ts";
import { PreparedCache } from "./cache.ts";
import { prepareWorkspace } from "./prepare.ts";

const searchPath = process.env["PATH"] ?? "/usr/bin:/bin";
const log = createLog("test", "silent");
const isRoot = process.getuid?.() === 0;
const owner = { uid: isRoot ? 64_010 : null, searchPath };
const mebibyte = 1024 * 1024;
const limits = {
  memoryBytesMax: 512 * mebibyte,
  cpuPercentMax: 200,
  processesMax: 64,
  timeoutMs: 20_000,
  diskBytesMax: 64 * mebibyte,
};

const root = realpathSync(mkdtempSync(join(tmpdir(), "shoal-prepare-")));
let scratch: Awaited<ReturnType<typeof openScratch>>;
let toolbox = "";
let registry: Server;
let asked: string[] = [];
let address = "";

beforeAll(async () => {
  scratch = await openScratch(root, owner);
  toolbox = join(
    scratch.folder,
    "..",
    `${isRoot ? "shoal-test-prepare-" : "tools-"}${process.pid}`,
  );
  await fillToolbox(toolbox, process.execPath);
  registry = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.end(`package ${request.url}\n`);
  });
  await new Promise<void>((resolve) => registry.listen(0, "127.0.0.1", resolve));
  address = `127.0.0.1:${(registry.address() as AddressInfo).port}`;
});

afterAll(async () => {
  registry.close();
  await removeTree(toolbox, searchPath);
  await scratch.close();
  rmSync(root, { recursive: true, force: true });
});

/** Fetches a package the way any program with a proxy does; our Node is in every sandbox. */
const fetchScript = `
  const answer = await fetch(process.argv[1]).catch((error) => ({ status: 0, text: () => String(error.cause ?? error) }));
  const text = await answer.text();
  if (answer.status !== 200) { console.log("answer " + answer.status + ": " + text); process.exit(3); }
  const { mkdirSync, writeFileSync } = await import("node:fs");
  mkdirSync("node_modules/left", { recursive: true });
  writeFileSync("node_modules/left/index.js", text);
  writeFileSync(process.env.HOME + "/.fetched", "yes");
`;
const fetchCommand = (url: string): string => `node -e '${fetchScript}' ${url}`;

const hasBubblewrap = (
  await Promise.all(searchPath.split(":").map((at) => readdir(at).catch((): string[] => [])))
).some((names) => names.includes("bwrap"));

for (const kind of ["bubblewrap", "none"] as const) {
  const missing = kind === "bubblewrap" && !hasBubblewrap;
  const title = missing ? `${kind} (bubblewrap isn't installed)` : kind;
  describe(title, { skip: missing, timeout: 60_000 }, () => {
    rules(kind);
  });
}

function rules(kind: "bubblewrap" | "none"): void {
  const scope = `preparetest-${process.pid}-${kind}`;
  let sandbox: Sandbox;
  let cache: PreparedCache;
  let count = 0;
  let cacheFolder = "";

  beforeAll(async () => {
    const deps = { log, limiter: null, scope, searchPath, uid: owner.uid };
    const mounts = await systemMounts(toolbox, []);
    const trialFolder = scratch.folder;
    sandbox =
      kind === "none"
        ? createPlain(deps, { toolbox })
        : await createBubblewrap(deps, { mounts, toolbox, arch: process.arch, trialFolder });
    cacheFolder = join(root, `prepared-${kind}`);
    cache = await openCache(100 * mebibyte);
  });

  afterAll(async () => {
    expect(await markedProcesses(`${scope}/`)).toEqual([]);
  });

  const openCache = (bytesMax: number): Promise<PreparedCache> =>
    PreparedCache.open({ log }, { folder: cacheFolder, bytesMax, searchPath });

  interface Run {
    readonly files?: Readonly<Record<string, string>>;
    readonly prepare: Partial<Prepare> & { readonly command: string };
    readonly project?: string;
    readonly cache?: PreparedCache;
    /** Before the prepare, in the checkout. */
    readonly lay?: (source: string) => Promise<void>;
    /** After the prepare. */
    readonly look?: (workspace: Workspace) => Promise<void>;
  }

  /** One checkout with its prepare; answers the build's log. */
  async function run(input: Run): Promise<string> {
    const id = `run-${(count += 1)}`;
    const workspace = await makeWorkspace(scratch.folder, `${scope}-${id}`, owner);
    let text = "";
    const say = async (part: string): Promise<void> => void (text += part);
    const output = {
      append: (bytes: Uint8Array) => say(Buffer.from(bytes).toString("utf8")),
      note: (line: string) => say(`${line}\n`),
    };
    try {
      const { source } = workspace.folders;
      for (const [path, content] of Object.entries(input.files ?? lock("1"))) {
        await writeFile(join(source, path), content);
      }
      await input.lay?.(source);
      await giveToBuild(workspace, owner);
      await prepareWorkspace(
        { sandbox, cache: input.cache ?? cache, log },
        {
          lease: { project: input.project ?? "thing", limits } as Lease,
          prepare: { hosts: [], lockFiles: [], ...input.prepare },
          workspace,
          owner,
          id,
          environment: {},
          output,
          signal: new AbortController().signal,
        },
      ).catch((error: unknown) => say(`ERROR ${String((error as { code?: string }).code)}\n`));
      await input.look?.(workspace);
      return text;
    } finally {
      await removeTree(workspace.folder, searchPath);
    }
  }

  const lock = (content: string): Record<string, string> => ({ "package-lock.json": content });

  test("fetches from a host of the list once, and takes it from the cache after that", async () => {
    asked = [];
    const prepare = { command: fetchCommand(`http://${address}/left`), hosts: [address] };
    const look = async ({ folders }: Workspace): Promise<void> => {
      const path = join(folders.source, "node_modules/left/index.js");
      expect(await readFile(path, "utf8")).toBe("package /left\n");
      expect(await readFile(join(folders.home, ".fetched"), "utf8")).toBe("yes");
    };
    const first = await run({ prepare, look });
    expect(first).toMatch(/Kept for the next build: \d+ bytes in node_modules, ~\/.fetched/);
    const second = await run({ prepare, look });
    expect(second).toContain("Taken from the cache");
    expect(asked).toEqual(["/left"]);
    for (const other of [
      { prepare, files: lock("2"), look },
      { prepare: { ...prepare, command: `true; ${prepare.command}` }, look },
      { prepare, project: "another", look },
    ]) {
      expect(await run(other)).toContain("Kept for the next build");
    }
    expect(asked).toHaveLength(4);
  });

  test("refuses a host that isn't in the list, and the log names it", async () => {
    asked = [];
    const text = await run({
      prepare: { command: fetchCommand(`http://${address}/left`), hosts: ["registry.example.org"] },
      files: lock("refused"),
    });
    expect(text).toContain(`Refused: ${address} isn't among the hosts`);
    expect(text).toContain("answer 403");
    expect(text).toContain("ERROR prepare_failed");
    expect(asked).toEqual([]);
  });

  test.skipIf(kind === "none")("has no way around the proxy, nor without hosts any", async () => {
    asked = [];
    const direct = `unset HTTP_PROXY http_proxy NODE_USE_ENV_PROXY; ${fetchCommand(`http://${address}/x`)}`;
    for (const hosts of [[address], []]) {
      const text = await run({ prepare: { command: direct, hosts }, files: lock("around") });
      expect(text).toMatch(/answer 0: .*(ECONNREFUSED|ENETUNREACH)/);
    }
    expect(asked).toEqual([]);
  });

  test("gives each build a copy that it can spoil without spoiling the next one's", async () => {
    const prepare = { command: "mkdir deps && echo good > deps/a && ln -s a deps/link" };
    const files = lock("spoil");
    await run({ prepare, files });
    for (let round = 0; round < 2; round += 1) {
      const text = await run({
        prepare,
        files,
        look: async ({ folders }) => {
          const path = join(folders.source, "deps/link");
          expect(await readFile(path, "utf8")).toBe("good\n");
          await writeFile(path, "bad\n");
        },
      });
      expect(text).toContain("Taken from the cache");
    }
  });

  // What doesn't depend on the sandbox is shown without one.
  test.skipIf(kind !== "none")(
    "keeps nothing when the command changes the checkout, or there is no lock file",
    async () => {
      const files = { ...lock("altered"), "a.txt": "one" };
      for (const command of ["echo two > a.txt", "rm a.txt"]) {
        const text = await run({ prepare: { command }, files });
        expect(text).toContain("isn't kept: the command changed a.txt");
      }
      const text = await run({ prepare: { command: "echo x > new" }, files: { "a.txt": "one" } });
      expect(text).toContain("No lock file was found");
      expect(await run({ prepare: { command: "mkfifo f" }, files })).toContain("neither a file");
    },
  );

  test.skipIf(kind !== "none")(
    "doesn't copy through a link that a later commit put in the way",
    async () => {
      const elsewhere = join(root, `elsewhere-${kind}`);
      await mkdir(elsewhere);
      const prepare = { command: "mkdir -p app/deps && echo x > app/deps/a" };
      const files = lock("link");
      const lay = (source: string): Promise<unknown> => mkdir(join(source, "app"));
      await run({ prepare, files, lay: async (source) => void (await lay(source)) });
      const text = await run({
        prepare,
        files,
        lay: (source) => symlink(elsewhere, join(source, "app")),
      });
      expect(text).not.toContain("Taken from the cache");
      await expect(access(join(elsewhere, "deps"))).rejects.toThrow("ENOENT");
    },
  );

  test.skipIf(kind !== "none")(
    "fails for a lock file that the project names and the commit lacks",
    async () => {
      for (const path of ["none.lock", "../outside", "/etc/hostname"]) {
        const text = await run({ prepare: { command: "true", lockFiles: [path] } });
        expect(text).toBe("ERROR lock_file_missing\n");
      }
    },
  );

  test.skipIf(kind !== "none")(
    "removes the least recently used beyond its bytes, and litter at its start",
    async () => {
      cacheFolder = join(root, `small-${kind}`);
      const small = await openCache(2.5 * mebibyte);
      const fill = (name: string) => ({
        prepare: { command: "mkdir d && head -c 1000000 /dev/urandom > d/x" },
        files: lock(name),
        cache: small,
      });
      await run(fill("a"));
      await run(fill("b"));
      expect(await run(fill("a"))).toContain("Taken from the cache");
      await run(fill("c"));
      expect(await run(fill("a"))).toContain("Taken from the cache");
      expect(await run(fill("c"))).toContain("Taken from the cache");
      expect(await run(fill("b"))).toContain("Kept for the next build");
      const large = { command: "head -c 4000000 /dev/zero > z" };
      const text = await run({ prepare: large, files: lock("large"), cache: small });
      expect(text).toMatch(/isn't kept: it has 4000000 bytes/);

      await mkdir(join(cacheFolder, "new-0123456789abcdef"));
      const [entry = ""] = await readdir(cacheFolder);
      writeFileSync(join(cacheFolder, entry, "record.json"), "{}");
      await openCache(2.5 * mebibyte);
      const left = await readdir(cacheFolder);
      expect(left).not.toContain("new-0123456789abcdef");
      expect(left).not.toContain(entry);
    },
  );
}
