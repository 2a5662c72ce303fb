// Builds that can't be made, one test for each kind: the build ends by itself, its status says why to
// the person who looks there, nothing of it is left, and the next good build passes.
import type { Build } from "@shoal/api/control-plane";
import { mebibyte, minuteMs } from "@shoal/core/units";
import { mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Fleet } from "./fleet.ts";
import { build } from "./person.ts";
import { processesOf } from "./proc.ts";
import { SampleProject } from "./sample-project.ts";
import { shoal } from "./shoal-command.ts";
import { waitFor } from "./wait-for.ts";

const limits = {
  memoryBytesMax: 256 * mebibyte,
  processesMax: 64,
  timeoutMs: 15_000,
  diskBytesMax: 64 * mebibyte,
};
const good = "mkdir out && cp size.json out";
const secret = "correct-horse-battery-staple";
const testMsMax = 2 * minuteMs;

let fleet: Fleet;
let project: SampleProject;
let projects = 0;
let versions = 0;

beforeAll(async () => {
  fleet = await Fleet.empty();
  await fleet.startControl();
  await fleet.client.regions.create({ name: "eu", home: true, inService: true });
  await fleet.addSeeder("eu");
  await fleet.addBuilder("builder-1", { secretsDir: secretsDir() });
  project = await SampleProject.create(join(fleet.dir, "repository"), {
    parts: 1,
    partBytes: 1,
    changed: 1,
  });
  await createProject({ name: "good" });
}, 2 * minuteMs);
afterAll(() => fleet?.[Symbol.asyncDispose](), minuteMs);

function secretsDir(): string {
  return join(fleet.dir, "secrets");
}

interface Differences {
  readonly name?: string;
  readonly remoteUrl?: string;
  readonly buildCommand?: string;
  readonly artifactPath?: string;
  readonly limits?: Partial<typeof limits>;
}

/** A project that differs from a good one in what the test is about; answers its name. */
async function createProject(differences: Differences): Promise<string> {
  projects += 1;
  const { name } = await fleet.client.projects.create({
    name: `project-${projects}`,
    remoteUrl: project.dir,
    buildCommand: good,
    artifactPath: "out",
    ...differences,
    limits: { ...limits, ...differences.limits },
  });
  return name;
}

async function nextCommit(): Promise<string> {
  versions += 1;
  return project.commit(`v${versions}`);
}

/** What `shoal build status` shows. */
async function statusOf({ id }: Build): Promise<string> {
  const { status, stdout, stderr } = await shoal([
    ...["build", "status", String(id)],
    ...["--url", fleet.url, "--token-file", fleet.tokenFile],
  ]);
  expect(status, stderr).toBe(0);
  return stdout;
}

/** The failure is where the person looks, is the person's, and blocks nothing. */
async function expectRefused(ended: Build, code: RegExp, message: RegExp): Promise<void> {
  expect(ended).toMatchObject({ state: "FAILED", failure: { blame: "user" }, attempt: 1 });
  expect(ended.failure?.code).toMatch(code);
  expect(ended.failure?.message).toMatch(message);
  const shown = await statusOf(ended);
  expect(shown).toContain(ended.failure?.code);
  expect(shown).toContain(ended.failure?.message);
  await expectNextBuildPasses();
}

async function expectNextBuildPasses(): Promise<void> {
  const next = await build(fleet, "good", await nextCommit());
  expect(next).toMatchObject({ state: "SUCCEEDED", failure: null, attempt: 1 });
  await waitFor("the builder's folders to be empty", 20_000, async () => {
    const left = await readdir(join(fleet.stateDir("builder-1"), "builds", "attempts"));
    return left.length === 0 ? true : null;
  });
}

describe("a commit that can't be had", () => {
  test("is named when the remote doesn't know it", { timeout: testMsMax }, async () => {
    const ended = await build(fleet, "good", "0".repeat(40));
    await expectRefused(ended, /^commit_unknown$/, /0{40}/);
  });

  test(
    "is refused when it is on none of the remote's branches",
    { timeout: testMsMax },
    async () => {
      const commit = await nextCommit();
      await project.git("reset", "--quiet", "--hard", "HEAD~1");
      expect(await project.git("cat-file", "-t", commit)).toBe("commit");
      await expectRefused(
        await build(fleet, "good", commit),
        /^commit_not_on_branch$/,
        new RegExp(commit),
      );
    },
  );
});

describe("a remote that isn't allowed", () => {
  test.for([
    ["an option of git's", "--upload-pack=touch /tmp/shoal-was-here", /dash/],
    ["a transport helper", "ext::sh -c touch% /tmp/shoal-was-here", /transport helper/],
    ["an unprotected protocol", "http://127.0.0.1:1/repository.git", /protocol http/],
    ["a password", "https://me:hunter2@127.0.0.1:1/repository.git", /password/],
    ["a relative path", "repository", /neither a URL nor an absolute path/],
    ["a folder that isn't there", "/nowhere/at/all", /nowhere/],
  ] as const)("%s is refused", { timeout: testMsMax }, async ([, remoteUrl, message]) => {
    const name = await createProject({ remoteUrl });
    const ended = await build(fleet, name, "1".repeat(40));
    await expectRefused(ended, /^remote_refused$/, message);
    expect(await statusOf(ended)).not.toContain("hunter2");
  });
});

describe("a build that goes wrong", () => {
  test.for<readonly [string, Differences, RegExp, RegExp]>([
    ["exits with another code than 0", { buildCommand: "exit 3" }, /^build_failed$/, /code 3/],
    [
      "hangs",
      { buildCommand: "sleep 1000", limits: { timeoutMs: 2000 } },
      /^build_timed_out$/,
      /2 seconds/,
    ],
    [
      "hangs and ignores signals",
      { buildCommand: "trap '' TERM INT HUP; sleep 1000", limits: { timeoutMs: 2000 } },
      /^build_timed_out$/,
      /2 seconds/,
    ],
    [
      "eats memory",
      { buildCommand: `node -e 'for (const all = [];;) all.push(Buffer.alloc(1e7, 1))'` },
      // Where no control group can be had, the limit of the process itself ends it.
      /^build_out_of_memory$|^build_failed$/,
      /memory|ended|exited/,
    ],
    [
      "forks without end",
      { buildCommand: "f() { f & f & sleep 1; }; f; sleep 30", limits: { timeoutMs: 5000 } },
      /^build_failed$|^build_timed_out$/,
      /exited|longer/,
    ],
    [
      "fills the disk with one file",
      { buildCommand: "head -c 500M /dev/zero > one" },
      /^build_out_of_disk$|^build_failed$/,
      /wrote|ended|exited/,
    ],
    [
      "fills the disk with many files",
      { buildCommand: "for n in $(seq 300); do head -c 4M /dev/zero > $n; sleep 0.05; done" },
      /^build_out_of_disk$/,
      /wrote .* more than 67108864/,
    ],
    [
      "leaves nothing at the artifact path",
      { artifactPath: "out/there" },
      /^artifact_missing$/,
      /out\/there/,
    ],
    ["leaves an empty folder", { buildCommand: "mkdir out" }, /^artifact_empty$/, /empty/],
    [
      "makes the artifact path a link out of the checkout",
      { buildCommand: "ln -s /etc out" },
      /^artifact_escapes$/,
      /out/,
    ],
    [
      "leaves a link to an absolute path",
      { buildCommand: "mkdir out; ln -s /etc/passwd out/link" },
      /^tree_refused$/,
      /link/,
    ],
    [
      "leaves a link that climbs out of the tree",
      { buildCommand: "mkdir -p out/a; ln -s ../../secret out/a/link" },
      /^tree_refused$/,
      /a\/link/,
    ],
    ["leaves a pipe", { buildCommand: "mkdir out; mkfifo out/pipe" }, /^tree_refused$/, /pipe/],
    [
      "leaves a name that isn't text",
      { buildCommand: `mkdir out; touch "out/$(printf '\\377')"` },
      /^tree_refused$/,
      /UTF-8|text/,
    ],
  ])("%s", { timeout: testMsMax }, async ([, differences, code, message]) => {
    const ended = await build(fleet, await createProject(differences), await nextCommit());
    await expectRefused(ended, code, message);
  });

  test("leaves no process when it forks behind its own end", { timeout: testMsMax }, async () => {
    const mark = `7${Date.now()}`;
    const name = await createProject({
      buildCommand: `for n in 1 2 3; do setsid sleep ${mark} & done; exit 4`,
    });
    await expectRefused(await build(fleet, name, await nextCommit()), /^build_failed$/, /code 4/);
    expect(await processesOf(mark)).toEqual([]);
  });

  test(
    "is refused already as a project when its artifact path leaves",
    async () => {
      const climbing = createProject({ artifactPath: "../elsewhere" });
      const ended = climbing.then(async (name) => build(fleet, name, await nextCommit()));
      await ended.then(
        (end) => expect(end.failure?.code).toBe("artifact_escapes"),
        (error: unknown) => expect(error).toMatchObject({ code: "invalid_input" }),
      );
    },
    testMsMax,
  );
});

describe("a build that prints", () => {
  test("200 MB passes, and its log can be read to the end", { timeout: testMsMax }, async () => {
    const bytes = 200_000_000;
    const line = `${"0123456789abcdef".repeat(62)}0123456`; // 1000 bytes with its newline
    const name = await createProject({
      buildCommand: `${good}; yes ${line} | head -c ${bytes}; echo the very last line`,
      limits: { timeoutMs: testMsMax },
    });
    const ended = await build(fleet, name, await nextCommit());
    expect(ended).toMatchObject({ state: "SUCCEEDED" });
    let end = bytes;
    let tail = "";
    for (let isEnded = false; !isEnded;) {
      const page = await fleet.client.builds.log(ended.id, { offset: end, waitMs: 0 });
      tail += new TextDecoder().decode(page.bytes);
      isEnded = page.bytes.length === 0;
      end = page.nextOffset;
    }
    expect(end).toBeGreaterThan(bytes);
    expect(tail).toContain("the very last line\n");
    expect(tail).toMatch(/Published \S+/);
  });

  test("a secret has a log that doesn't tell it", { timeout: testMsMax }, async () => {
    const name = await createProject({
      buildCommand: `secret=$(cat "$SHOAL_SECRETS/TOKEN"); echo "$secret"; echo "$secret" | wc -c
        for part in correct- horse- battery- staple; do printf %s "$part"; sleep 0.5; done; echo
        printf 'me:%s' "$secret" | base64; echo "$secret" | tee /dev/stderr | tr - / ; exit 5`,
    });
    const folder = join(secretsDir(), name);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "TOKEN"), `${secret}\n`, { mode: 0o600 });
    const ended = await build(fleet, name, await nextCommit());
    const { bytes } = await fleet.client.builds.log(ended.id, { offset: 0, waitMs: 0 });
    const log = new TextDecoder().decode(bytes);
    expect(log).toContain(`\n***\n${secret.length + 1}\n***\n`);
    expect(log).toContain("correct/horse/battery/staple\n"); // What the mask can't know.
    expect(log).not.toContain(secret);
    expect(log).not.toContain(Buffer.from(`me:${secret}`).toString("base64").slice(8, 24));
    await expectRefused(ended, /^build_failed$/, /code 5/);
    expect(await readFile(join(fleet.dir, "builder-1.log"), "utf8")).not.toContain(secret);
  });

  test("bytes that aren't text has a log of the same bytes", { timeout: testMsMax }, async () => {
    const name = await createProject({ buildCommand: `${good}; printf 'a\\000\\377\\033[2Jb'` });
    const ended = await build(fleet, name, await nextCommit());
    expect(ended).toMatchObject({ state: "SUCCEEDED" });
    const { bytes } = await fleet.client.builds.log(ended.id, { offset: 0, waitMs: 0 });
    expect(Buffer.from(bytes).includes(Buffer.from("a\0\xff\x1b[2Jb", "latin1"))).toBe(true);
  });
});

describe("a repository that attacks its builder", () => {
  test(
    "may hold links out of itself, which the build's sandbox makes harmless",
    async () => {
      const link = join(project.dir, "outside");
      await symlink("/etc/shadow", link);
      const commit = await nextCommit();
      await rm(link);
      await nextCommit();
      const name = await createProject({ buildCommand: "mkdir out; cp -P outside out/link" });
      await expectRefused(await build(fleet, name, commit), /^tree_refused$/, /link/);
    },
    testMsMax,
  );

  test(
    "may hold hooks, filters and submodules, none of which run",
    async () => {
      const files = {
        ".gitattributes": "*.json filter=evil\n",
        ".gitmodules":
          '[submodule "x"]\n\tpath = x\n\turl = ext::sh -c "touch /tmp/shoal-was-here"\n',
      };
      await project.commit("with traps", files);
      await expectNextBuildPasses();
      expect(await readdir("/tmp")).not.toContain("shoal-was-here");
    },
    testMsMax,
  );
});
