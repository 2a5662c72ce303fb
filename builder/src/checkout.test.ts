// Against real repositories in a temporary folder.
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, lstatSync, mkdtempSync, readFileSync, readdirSync } from "node:fs";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { checkout } from "./checkout.ts";
import { type Git, openGit } from "@shoal/daemon/git";
import { parseRemote } from "@shoal/api/remote-url";

// Each runs git and other programs many times, which takes long on a machine that does more.
vi.setConfig({ testTimeout: 60_000 });

const path = process.env["PATH"] ?? "/usr/bin:/bin";
let root = "";
let remote = "";
let git: Git;
let commits: { readonly first: string; readonly second: string; readonly loose: string };
let count = 0;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "shoal-checkout-"));
  remote = join(root, "remote");
  mkdirSync(join(remote, "folder"), { recursive: true });
  inRemote("init", "--quiet", "--initial-branch=main");
  writeFileSync(join(remote, "a.txt"), "one\r\n");
  writeFileSync(join(remote, ".gitattributes"), "*.bin filter=lfs diff=lfs merge=lfs -text\n");
  writeFileSync(join(remote, "large.bin"), "version https://git-lfs.github.com/spec/v1\n");
  writeFileSync(join(remote, "run.sh"), "#!/bin/sh\n");
  chmodSync(join(remote, "run.sh"), 0o755);
  symlinkSync("a.txt", join(remote, "link"));
  const first = commit("first");
  writeFileSync(join(remote, "a.txt"), "two\n");
  const second = commit("second");
  inRemote("checkout", "--quiet", "--detach");
  writeFileSync(join(remote, "a.txt"), "loose\n");
  const loose = commit("on no branch");
  inRemote("checkout", "--quiet", "main");
  commits = { first, second, loose };
  git = await openGit({ path, environment: {}, folder: join(root, "git"), home: root });
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

function inRemote(...args: string[]): string {
  const identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
  return execFileSync("git", [...identity, ...args], { cwd: remote, encoding: "utf8" }).trim();
}

function commit(message: string): string {
  inRemote("add", "--all");
  inRemote("commit", "--quiet", "--allow-empty", "--message", message);
  return inRemote("rev-parse", "HEAD");
}

async function check(
  url: string,
  id: string,
  signal = new AbortController().signal,
): Promise<string> {
  const folder = join(root, `checkout-${(count += 1)}`);
  await checkout({ git }, { remote: parseRemote(url), commit: id, folder, signal });
  return folder;
}

test("writes the files of exactly the commit, with modes and links", async () => {
  const folder = await check(remote, commits.first);
  expect(readFileSync(join(folder, "a.txt"), "utf8")).toBe("one\r\n");
  expect(lstatSync(join(folder, "run.sh")).mode & 0o111).not.toBe(0);
  expect(lstatSync(join(folder, "link")).isSymbolicLink()).toBe(true);
});

test("fetches only that commit, also when it isn't the head of a branch", async () => {
  for (const id of [commits.first, commits.second]) {
    const folder = await check(`file://${remote}`, id);
    const log = execFileSync("git", ["log", "--format=%H"], { cwd: folder, encoding: "utf8" });
    expect(log.trim()).toBe(id);
    expect(existsSync(join(folder, ".git/shoal-history"))).toBe(false);
  }
});

test("refuses a commit that is there but on no branch or tag", async () => {
  for (const url of [remote, `file://${remote}`]) {
    const attempt = check(url, commits.loose);
    await expect(attempt).rejects.toMatchObject({ code: "commit_not_on_branch", blame: "remote" });
  }
});

test("takes a commit that only a tag leads to, and one whose descendants look far older", async () => {
  inRemote("checkout", "--quiet", "--detach", commits.second);
  writeFileSync(join(remote, "a.txt"), "tagged\n");
  const below = commit("below a tag");
  commit("tagged");
  inRemote("tag", "released");
  inRemote("checkout", "--quiet", "main");
  expect(readFileSync(join(await check(remote, below), "a.txt"), "utf8")).toBe("tagged\n");
  inRemote("tag", "--delete", "released");
  await expect(check(remote, below)).rejects.toMatchObject({ code: "commit_not_on_branch" });

  inRemote("checkout", "--quiet", "-b", "old-clock", commits.second);
  const parent = commit("by a right clock");
  const environment = { ...process.env, GIT_COMMITTER_DATE: "2001-01-01T00:00:00Z" };
  const identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
  for (const message of ["by a wrong clock", "by the same"]) {
    const args = [...identity, "commit", "--quiet", "--allow-empty", "--message", message];
    execFileSync("git", args, { cwd: remote, env: environment });
  }
  inRemote("checkout", "--quiet", "main");
  await check(`file://${remote}`, parent);
});

test("takes a SHA-256 repository", async () => {
  const other = join(root, "sha256");
  mkdirSync(other);
  const options = { cwd: other, encoding: "utf8" } as const;
  execFileSync("git", ["init", "--quiet", "--object-format=sha256"], options);
  const identity = ["-c", "user.name=T", "-c", "user.email=t@example.org"];
  execFileSync("git", [...identity, "commit", "--quiet", "--allow-empty", "-m", "x"], options);
  const id = execFileSync("git", ["rev-parse", "HEAD"], options).trim();
  expect(id).toHaveLength(64);
  expect(readdirSync(await check(other, id))).toEqual([".git"]);
});

test("runs no filter that the repository or the user's configuration asks for", async () => {
  const proof = join(root, "filter-ran");
  writeFileSync(
    join(root, ".gitconfig"),
    `[filter "lfs"]\n\tsmudge = touch ${proof}\n\trequired = true\n`,
  );
  const folder = await check(remote, commits.second);
  expect(readFileSync(join(folder, "large.bin"), "utf8")).toContain("git-lfs");
  expect(existsSync(proof)).toBe(false);
});

test("runs no hook of a template or of the remote", async () => {
  const proof = join(root, "hook-ran");
  for (const hook of ["post-checkout", "pre-upload", "post-update"]) {
    const file = join(remote, ".git/hooks", hook);
    writeFileSync(file, `#!/bin/sh\ntouch ${proof}\n`);
    chmodSync(file, 0o755);
  }
  const folder = await check(remote, commits.second);
  expect(existsSync(proof)).toBe(false);
  expect(existsSync(join(folder, ".git/hooks"))).toBe(false);
});

test("fetches no submodules", async () => {
  const line = `160000,${commits.first},module`;
  writeFileSync(
    join(remote, ".gitmodules"),
    `[submodule "m"]\n\tpath = module\n\turl = ${remote}\n`,
  );
  inRemote("update-index", "--add", "--cacheinfo", line);
  inRemote("add", ".gitmodules");
  inRemote("commit", "--quiet", "--message", "module");
  const folder = await check(remote, inRemote("rev-parse", "HEAD"));
  expect(readdirSync(join(folder, "module"))).toEqual([]);
});

test("names a commit that the remote doesn't have", async () => {
  await expect(check(remote, "0123456789".repeat(4))).rejects.toMatchObject({
    code: "commit_unknown",
  });
});

test("doesn't take the id of a tree or a tag for a commit", async () => {
  inRemote("tag", "--annotate", "--message", "x", "annotated");
  for (const name of ["HEAD^{tree}", "annotated"]) {
    const id = inRemote("rev-parse", name);
    await expect(check(remote, id)).rejects.toMatchObject({ code: "commit_unknown" });
  }
});

test("says that a remote isn't there, and that this is the user's to mend", async () => {
  const attempt = check(join(root, "nowhere"), commits.first);
  await expect(attempt).rejects.toMatchObject({ code: "remote_refused", blame: "remote" });
});

test("says that a remote can't be reached, and that this may pass", async () => {
  const attempt = check("https://127.0.0.1:1/x.git", commits.first);
  await expect(attempt).rejects.toMatchObject({ code: "remote_unreachable", retryable: true });
});

test("falls back to the branches where the remote hands out only those", async () => {
  const exact: Git = {
    run: (folder, args, options) =>
      git.run(folder, args[0] === "fetch" ? ["-c", "protocol.version=0", ...args] : args, options),
  };
  const folder = join(root, "fallback");
  const signal = new AbortController().signal;
  const input = { remote: parseRemote(remote), commit: commits.first, folder, signal };
  await checkout({ git: exact }, input);
  expect(readFileSync(join(folder, "a.txt"), "utf8")).toBe("one\r\n");
  const loose = { ...input, commit: commits.loose, folder: join(root, "fallback-loose") };
  await expect(checkout({ git: exact }, loose)).rejects.toMatchObject({ code: "commit_unknown" });
});

test("stops at once when it is told to", async () => {
  const controller = new AbortController();
  controller.abort(new Error("enough"));
  await expect(check(remote, commits.first, controller.signal)).rejects.toThrow("enough");
});
