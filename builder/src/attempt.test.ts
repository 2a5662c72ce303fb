// Whole attempts: a real repository, real processes (without a sandbox, which has tests of its own),
// a real chunk store; the control plane is a small one in memory that keeps the contract's rules.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AttemptEnded, Lease } from "@shoal/api/builder";
import type { Failure } from "@shoal/api/control-plane";
import type { Envelope } from "@shoal/api/names";
import { decodeManifest, manifestCid } from "@shoal/core/content/manifest-codec";
import type { Manifest } from "@shoal/core/content/manifest";
import { ShoalError } from "@shoal/core/error";
import { type Git, openGit } from "@shoal/daemon/git";
import { createLog } from "@shoal/daemon/log";
import { openChunkStore } from "@shoal/store/chunk-store";
import { MemoryBlobs } from "@shoal/store/memory-blobs";
import { readTree } from "@shoal/store/tree-reader";
import { scanTree } from "@shoal/store/tree-scan";
import { createKey } from "@shoal/trust/key-file";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { type AttemptDeps, runAttempt } from "./attempt.ts";
import { machineLoad } from "./machine-load.ts";
import { markedProcesses } from "./processes.ts";
import { PreparedCache } from "./prepare/cache.ts";
import { type Ingest, createPublish } from "./publish/publish.ts";
import { createPlain } from "./sandbox/plain.ts";
import { fillToolbox } from "./sandbox/toolbox.ts";
import { type Scratch, openScratch } from "./scratch.ts";
import { removeTree } from "./workspace.ts";

// Each runs git and other programs many times, which takes long on a machine that does more.
vi.setConfig({ testTimeout: 60_000 });
const searchPath = process.env["PATH"] ?? "/usr/bin:/bin";
const owner = { uid: process.getuid?.() === 0 ? 64_010 : null, searchPath };
const scope = `attempttest-${process.pid}`;
const log = createLog("test", "silent");
const key = createKey();
const timing = { heartbeatMs: 30, leaseMs: 2000 };
const never = new AbortController().signal;

const root = realpathSync(mkdtempSync(join(tmpdir(), "shoal-attempt-")));
const remoteUrl = join(root, "remote");
const secretsDir = join(root, "secrets");
const ownSecret = "the builder's own token";
let commit = "";
let git: Git;
let scratch: Scratch;
let toolbox = "";
let attempts = "";
let cache: PreparedCache;

beforeAll(async () => {
  mkdirSync(remoteUrl);
  const run = (...args: string[]): string =>
    execFileSync("git", ["-c", "user.name=T", "-c", "user.email=t@example.org", ...args], {
      cwd: remoteUrl,
      encoding: "utf8",
    }).trim();
  run("init", "--quiet");
  writeFileSync(join(remoteUrl, "in.txt"), "source\n");
  run("add", ".");
  run("commit", "--quiet", "--message", "one");
  commit = run("rev-parse", "HEAD");
  git = await openGit({ path: searchPath, environment: {}, folder: join(root, "git"), home: root });
  scratch = await openScratch(root, owner);
  toolbox = join(scratch.folder, "tools");
  attempts = join(scratch.folder, "attempts");
  mkdirSync(attempts, { mode: 0o711 });
  await fillToolbox(toolbox, process.execPath);
  const folder = join(root, "prepared");
  cache = await PreparedCache.open({ log }, { folder, bytesMax: 1024 ** 3, searchPath });
});

afterEach(async () => {
  rmSync(secretsDir, { recursive: true, force: true });
  const left = [...readdirSync(attempts), ...(await markedProcesses(`${scope}/`))];
  if (left.length > 0) throw new Error(`the attempt left something: ${JSON.stringify(left)}`);
});

afterAll(async () => {
  await removeTree(scratch.folder, searchPath);
  await scratch.close();
  rmSync(root, { recursive: true, force: true });
});

/** What the control plane knows of one build; keeps the contract's rules about fences and logs. */
class Desk {
  readonly lease: Lease;
  log: Buffer = Buffer.alloc(0);
  beats = 0;
  cancel = false;
  /** A newer lease was given to somebody else. */
  taken = false;
  /** Refuses what is published, for a reason that isn't the fence. */
  refusesKey = false;
  ended: "published" | "failed" | "cancelled" | null = null;
  failure: Failure | null = null;
  published: { artifact: string; bytesUploaded: number; statement: Envelope } | null = null;

  constructor(changes: Partial<Lease> = {}) {
    this.lease = { ...baseLease(), ...changes };
  }

  readonly client: AttemptDeps["client"] = {
    heartbeat: async (_id, { fence }) => {
      this.#check(fence);
      this.beats += 1;
      return { until: new Date().toISOString(), cancel: this.cancel, grant: `grant ${this.beats}` };
    },
    appendLog: async (_id, { fence, offset }, bytes) => {
      this.#check(fence);
      if (offset > this.log.length) throw refusal("log_gap");
      this.log = Buffer.concat([this.log, bytes.subarray(this.log.length - offset)]);
    },
    reportTests: async (_id, { fence }) => this.#check(fence),
    publish: async (_id, { fence, artifact, bytesUploaded, statement }) => {
      if (this.cancel) throw refusal("build_ended");
      if (this.refusesKey) throw refusal("signature_key_unknown");
      this.published = { artifact, bytesUploaded, statement };
      return this.#end(fence, "published");
    },
    fail: async (_id, { fence, failure }) => {
      this.failure = failure;
      return this.#end(fence, "failed");
    },
    cancelled: async (_id, { fence }) => this.#end(fence, "cancelled"),
  };

  #check(fence: string): void {
    if (this.taken || fence !== this.lease.fence) throw refusal("fence_stale");
    if (this.ended !== null) throw refusal("build_ended");
  }

  #end(fence: string, how: "published" | "failed" | "cancelled"): AttemptEnded {
    this.#check(fence);
    this.ended = how;
    return { build: this.lease.build, state: "FAILED" };
  }
}

function refusal(code: string): ShoalError {
  return new ShoalError(code, code, { blame: "remote" });
}

function baseLease(): Lease {
  return {
    build: 7,
    project: "thing",
    commit,
    attempt: 1,
    fence: "41",
    until: new Date().toISOString(),
    remoteUrl,
    buildCommand: "mkdir -p out && cat in.txt in.txt > out/app && echo built",
    artifactPath: "out/app",
    prepare: null,
    test: null,
    limits: {
      memoryBytesMax: 512 * 1024 ** 2,
      cpuPercentMax: 200,
      processesMax: 64,
      timeoutMs: 20_000,
      diskBytesMax: 64 * 1024 ** 2,
    },
    seeder: { region: "home", url: "https://127.0.0.1:1", peerId: key.peerId },
    grant: "grant 0",
  };
}

/** A region that takes what is published into a real chunk store. */
async function openRegion() {
  const store = await openChunkStore(new MemoryBlobs());
  const held = new Map<string, { manifest: Manifest; statement: Envelope | null }>();
  const ingest: Ingest = {
    missing: async (hashes) => store.missing(hashes),
    putChunks: async (chunks) => {
      let stored = 0;
      for await (const { hash, bytes } of chunks) {
        await store.put(hash, bytes);
        stored += 1;
      }
      return { stored };
    },
    putManifest: async (cid, bytes) => {
      expect(manifestCid(bytes)).toBe(cid);
      const manifest = decodeManifest(bytes);
      if (store.missing(manifest.chunkHashes).length > 0) throw refusal("chunks_missing");
      held.set(cid, { manifest, statement: null });
    },
    putStatement: async (cid, statement) => {
      const entry = held.get(cid);
      if (entry === undefined) throw refusal("not_found");
      entry.statement = statement;
    },
  };
  return { held, ingest };
}

type Region = Awaited<ReturnType<typeof openRegion>>;

async function attempt(desk: Desk, region: Region, stopping: AbortSignal = never): Promise<void> {
  const publish = createPublish({
    key,
    builderName: "builder-1",
    readArtifact: async (path, onChunk) => readTree(path, await scanTree(path), onChunk),
    connect: () => ({ ingest: region.ingest, close: async () => undefined }),
  });
  const sandbox = createPlain(
    { log, limiter: null, scope, searchPath, uid: owner.uid },
    { toolbox },
  );
  const load = () => machineLoad(root);
  const deps = { client: desk.client, git, sandbox, cache, publish, load, log };
  const place = { scratch: attempts, owner, timing, secretsDir, ownSecrets: [ownSecret] };
  await runAttempt(deps, place, desk.lease, stopping);
}

/** Waits for a line of the build's own, so that what the test does next is in the middle of it. */
async function whenLogged(desk: Desk, line: string): Promise<void> {
  const startMs = performance.now();
  while (!desk.log.toString("utf8").includes(`\n${line}\n`)) {
    if (performance.now() - startMs > 10_000) throw new Error(`never saw ${line}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test("builds a commit, publishes it with a signed statement, and keeps its log", async () => {
  const desk = new Desk();
  const region = await openRegion();
  await attempt(desk, region);
  expect(desk.failure).toBeNull();
  expect(desk.ended).toBe("published");
  expect(desk.published?.bytesUploaded).toBe(14);
  const held = region.held.get(desk.published?.artifact ?? "");
  expect(held?.manifest.bytes).toBe(14);
  expect(held?.statement).toEqual(desk.published?.statement);
  expect(desk.published?.statement.signatures[0]?.keyid).toBe(key.keyId);
  expect(desk.log.toString("utf8")).toContain("\nbuilt\n");
});

test("uploads nothing when the same artifact is built again", async () => {
  const region = await openRegion();
  await attempt(new Desk(), region);
  const desk = new Desk({ build: 8, fence: "42" });
  await attempt(desk, region);
  expect(desk.published?.bytesUploaded).toBe(0);
});

test.for([
  ["a command that fails", { buildCommand: "echo no; exit 3" }, "build_failed", "user"],
  ["an artifact that isn't there", { artifactPath: "out/none" }, "artifact_missing", "user"],
  [
    "an artifact outside",
    { buildCommand: "ln -s /etc out", artifactPath: "out" },
    "artifact_escapes",
    "user",
  ],
  [
    "an artifact with a link out of it",
    { buildCommand: "mkdir out && ln -s /etc/passwd out/x", artifactPath: "out" },
    "tree_refused",
    "user",
  ],
  [
    "an empty artifact",
    { buildCommand: "mkdir out", artifactPath: "out" },
    "artifact_empty",
    "user",
  ],
  ["an unknown commit", { commit: "0".repeat(40) }, "commit_unknown", "user"],
  ["a remote that isn't there", { remoteUrl: "/nowhere/at/all" }, "remote_refused", "user"],
  ["a remote of another protocol", { remoteUrl: "ext::sh -c true" }, "remote_refused", "user"],
  ["a remote that is an option", { remoteUrl: "--upload-pack=true" }, "remote_refused", "user"],
  [
    "a remote that doesn't answer",
    { remoteUrl: "https://127.0.0.1:1/x" },
    "remote_unreachable",
    "system",
  ],
] as const)("tells of %s, and whose fault it is", async ([, changes, code, blame]) => {
  const desk = new Desk(changes);
  await attempt(desk, await openRegion());
  expect(desk.failure).toMatchObject({ code, blame });
});

test("tells a build that runs out of time from one that fails", async () => {
  const desk = new Desk({ buildCommand: "sleep 100" });
  desk.lease.limits.timeoutMs = 300;
  await attempt(desk, await openRegion());
  expect(desk.failure).toMatchObject({ code: "build_timed_out", blame: "user" });
});

test("kills a cancelled build and says so only then", async () => {
  const desk = new Desk({ buildCommand: "echo running; sleep 100" });
  const running = attempt(desk, await openRegion());
  await whenLogged(desk, "running");
  desk.cancel = true;
  await running;
  expect(desk.ended).toBe("cancelled");
});

test("says cancelled when the cancel came while it published", async () => {
  const desk = new Desk();
  const region = await openRegion();
  const slow = region.ingest.putStatement;
  const late = { ...region.ingest };
  late.putStatement = async (cid, statement) => {
    await slow(cid, statement);
    desk.cancel = true;
  };
  await attempt(desk, { ...region, ingest: late });
  expect(desk.ended).toBe("cancelled");
});

test("says why when the control plane doesn't take what was published", async () => {
  const desk = new Desk();
  desk.refusesKey = true;
  await attempt(desk, await openRegion());
  expect(desk.failure).toMatchObject({ code: "builder_key_untrusted", blame: "system" });
});

test("stops at once and says nothing when the lease went to somebody else", async () => {
  const desk = new Desk({ buildCommand: "echo running; sleep 100" });
  const running = attempt(desk, await openRegion());
  await whenLogged(desk, "running");
  const before = desk.log.length;
  desk.taken = true;
  await running;
  expect(desk.ended).toBeNull();
  expect(desk.log).toHaveLength(before);
});

test("gives the build back as a failure of ours when the builder stops", async () => {
  const stopping = new AbortController();
  const desk = new Desk({ buildCommand: "echo running; sleep 100" });
  const running = attempt(desk, await openRegion(), stopping.signal);
  await whenLogged(desk, "running");
  stopping.abort();
  await running;
  expect(desk.failure).toMatchObject({ code: "builder_stopping", blame: "system" });
});

test("offers the artifact again when the seeder's collection took some of it", async () => {
  const desk = new Desk();
  const region = await openRegion();
  const real = region.ingest.putManifest;
  let refusals = 1;
  const forgetful = { ...region.ingest };
  forgetful.putManifest = async (cid, bytes) => {
    if (refusals > 0) {
      refusals -= 1;
      throw refusal("chunks_missing");
    }
    await real(cid, bytes);
  };
  await attempt(desk, { ...region, ingest: forgetful });
  expect(desk.ended).toBe("published");
});

/** Puts a secret where the operator of this builder would. */
function giveSecret(secret: string, mode = 0o600): void {
  mkdirSync(join(secretsDir, "thing"), { recursive: true });
  writeFileSync(join(secretsDir, "thing", "TOKEN"), `${secret}\n`, { mode });
}

test("gives a build its project's secrets, and masks those that it prints", async () => {
  giveSecret("hunter2-hunter2");
  const desk = new Desk({
    buildCommand: `set -e; test -r "$SHOAL_SECRETS/TOKEN"; cat "$SHOAL_SECRETS/TOKEN"
      for letter in h u n t e r 2 - h u n t e r 2; do printf %s "$letter"; sleep 0.02; done; echo
      printf 'user:%s' "$(cat "$SHOAL_SECRETS/TOKEN")" | base64
      echo "${ownSecret}, grant 0000; and no secret"
      mkdir out; cp in.txt out/app`,
    grant: "grant 0000",
  });
  await attempt(desk, await openRegion());
  const shown = desk.log.toString("utf8");
  expect(desk.ended, shown).toBe("published");
  expect(shown).toContain("\n***\n***\n");
  expect(shown).toContain("; and no secret\n");
  expect(shown).not.toMatch(/hunter2|own token|aHVudGVyMi/);
});

test("says which secret can't be used, and doesn't begin to build", async () => {
  giveSecret("hunter2-hunter2", 0o644);
  const desk = new Desk();
  await attempt(desk, await openRegion());
  expect(desk.failure).toMatchObject({ code: "secret_unusable", blame: "system" });
  expect(desk.failure?.message).toMatch(/TOKEN can be read by others/);
  expect(desk.log.toString("utf8")).not.toContain("Checking");
});

test("masks a secret also in the reason of a failure", async () => {
  giveSecret("/nowhere/hunter2-hunter2");
  const desk = new Desk({ remoteUrl: "/nowhere/hunter2-hunter2" });
  await attempt(desk, await openRegion());
  expect(desk.failure).toMatchObject({ code: "remote_refused" });
  expect(desk.failure?.message).toContain("***");
  expect(`${desk.failure?.message} ${desk.log.toString("utf8")}`).not.toContain("hunter2");
});
