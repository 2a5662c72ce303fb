// Branch heads that nobody told of, statuses told to a git host that fails, and loops on one control
// plane at a time.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { statusTriesMax } from "@shoal/core/limits";
import { afterEach, expect, test } from "vitest";
import { openRemoteHeads } from "./git/remote-heads.ts";
import { LoopLeases } from "./operations/loop-leases.ts";
import { type PostStatus, tellStatuses } from "./operations/tell-statuses.ts";
import { watchBranches } from "./operations/watch-branches.ts";
import { eachWithFleet } from "./each-fleet.test-kit.ts";
import { type TestFleet, commitFor } from "./test-fleet.ts";

let fleet: TestFleet;
let root = "";
eachWithFleet(async (started) => {
  fleet = started;
  root = mkdtempSync(join(tmpdir(), "shoal-heads-"));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

const git = (...args: string[]): string =>
  execFileSync("git", ["-c", "user.name=T", "-c", "user.email=t@example.org", ...args], {
    cwd: root,
    encoding: "utf8",
  }).trim();
const commitNow = (): string => {
  git("commit", "--quiet", "--allow-empty", "--message", "more");
  return git("rev-parse", "HEAD");
};

async function project(remoteUrl: string, branches: string[]): Promise<void> {
  await fleet.admin.projects.create({
    ...{ name: "greeter", remoteUrl, buildCommand: "make", artifactPath: "out", branches },
  });
}

const builtCommits = async (): Promise<string[]> =>
  (await fleet.admin.builds.list()).items.map(({ commit }) => commit);

test("builds the heads of watched branches whose push nobody told of, once", async () => {
  git("init", "--quiet", "--initial-branch=main");
  const first = commitNow();
  git("branch", "other/main");
  await project(root, ["main"]);
  const listHeads = await openRemoteHeads({
    folder: join(root, "git"),
    path: process.env["PATH"] ?? "",
    home: root,
  });
  const warnings: object[] = [];
  const log = { warn: (facts: object) => void warnings.push(facts) };
  const look = async (): Promise<number> => {
    await fleet.database`update projects set heads_due_at = now()`;
    return watchBranches({ ...fleet.deps, listHeads, log });
  };
  expect(await look()).toBe(1);
  expect(await look()).toBe(0);
  // Not due again so soon.
  expect(await watchBranches({ ...fleet.deps, listHeads, log })).toBe(0);
  const [build] = (await fleet.admin.builds.list()).items;
  expect(build).toMatchObject({ commit: first, state: "QUEUED" });
  // A commit that was cancelled or failed isn't built again only because it is still the head.
  await fleet.admin.builds.cancel(build?.id ?? 0);
  expect(await look()).toBe(0);
  const second = commitNow();
  const third = commitNow();
  expect(await look()).toBe(1);
  expect(await builtCommits()).toEqual([third, first]);
  expect(await builtCommits()).not.toContain(second);
  expect(warnings).toEqual([]);
  rmSync(join(root, ".git"), { recursive: true });
  expect(await look()).toBe(0);
  expect(warnings).toMatchObject([{ project: "greeter", error: { code: "remote_unreachable" } }]);
});

test("refuses a branch that git would take for an option, and transports that run programs", async () => {
  await expect(project("/srv/x", ["--upload-pack=evil"])).rejects.toMatchObject({
    code: "invalid_input",
  });
  const listHeads = await openRemoteHeads({
    folder: join(root, "git"),
    path: "",
    home: root,
  });
  await expect(listHeads("ext::sh -c evil", ["main"])).rejects.toMatchObject({
    code: "remote_refused",
  });
});

interface Post {
  readonly url: string;
  readonly token: string | null;
  readonly body: Record<string, unknown>;
}

/** A git host that answers what it is told to. */
function host(answers: (number | Error)[]) {
  const posts: Post[] = [];
  const post: PostStatus = async (url, token, body) => {
    posts.push({ url, token, body: body as Record<string, unknown> });
    const answer = answers.shift() ?? 201;
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const tell = async (): Promise<number> => {
    await fleet.database`update commit_statuses set due_at = now()`;
    return tellStatuses({ database: fleet.database, post });
  };
  return { posts, post, tell };
}

test("tells a git host how a build stands, again until it is heard, the newest word only", async () => {
  await project("/srv/x", []);
  await fleet.admin.builds.start({ project: "greeter", commit: commitFor("before") });
  const url = "https://git.example/statuses/{commit}";
  await fleet.admin.projects.setCommitStatus("greeter", { url, token: "s3cret" });
  const commit = commitFor("after");
  const { id } = await fleet.admin.builds.start({ project: "greeter", commit });
  const { posts, tell } = host([503, new Error("reset")]);
  expect([await tell(), await tell(), await tell(), await tell()]).toEqual([0, 0, 1, 0]);
  expect(posts[2]).toMatchObject({
    url: `https://git.example/statuses/${commit}`,
    token: "s3cret",
    body: { state: "pending", context: "shoal/greeter" },
  });
  await fleet.admin.builds.cancel(id);
  expect(await tell()).toBe(1);
  expect(posts.map(({ body }) => body["state"])).toEqual([
    "pending",
    "pending",
    "pending",
    "error",
  ]);
  expect(await fleet.admin.projects.commitStatus("greeter")).toEqual({
    ...{ url, waiting: 0, gaveUp: 0, problem: null },
  });
});

test("a project's branches, command and cap can be changed, and all else stays", async () => {
  await project("/srv/x", []);
  const { projects } = fleet.admin;
  const before = await projects.get("greeter");
  const changed = await projects.update("greeter", { branches: ["main"], buildsRunningMax: 2 });
  expect(changed).toEqual({ ...before, branches: ["main"], buildsRunningMax: 2 });
  const test = { command: "make test", reports: [] };
  const again = await projects.update("greeter", { test, buildsRunningMax: null });
  expect(again).toEqual({ ...before, branches: ["main"], test });
  expect(await projects.update("greeter", {})).toEqual(again);
  await expect(projects.update("nobody", { branches: [] })).rejects.toMatchObject({
    code: "not_found",
  });
});

test("a change while a status is being told is told as well", async () => {
  await project("/srv/x", []);
  const url = "https://git.example/{commit}";
  await fleet.admin.projects.setCommitStatus("greeter", { url });
  const { id } = await fleet.admin.builds.start({ project: "greeter", commit: commitFor("a") });
  const { post, posts } = host([]);
  const meanwhile: PostStatus = async (...parameters) => {
    await fleet.admin.builds.cancel(id);
    return post(...parameters);
  };
  const { database } = fleet;
  expect(await tellStatuses({ database, post: meanwhile })).toBe(1);
  expect(await tellStatuses({ database, post })).toBe(1);
  expect(posts.map(({ body }) => body["state"])).toEqual(["pending", "error"]);
});

test("gives up what a host refuses for good, or never answers, and shows it", async () => {
  await project("/srv/x", []);
  const url = "https://git.example/{commit}";
  await fleet.admin.projects.setCommitStatus("greeter", { url });
  await fleet.admin.builds.start({ project: "greeter", commit: commitFor("a") });
  const refusing = host([404]);
  expect([await refusing.tell(), await refusing.tell(), refusing.posts.length]).toEqual([0, 0, 1]);
  expect(await fleet.admin.projects.commitStatus("greeter")).toMatchObject({
    ...{ waiting: 0, gaveUp: 1, problem: "the git host answered 404" },
  });
  await fleet.admin.builds.start({ project: "greeter", commit: commitFor("b") });
  const away = host(Array.from({ length: 100 }, () => 500));
  for (let tries = 0; tries < statusTriesMax + 3; tries += 1) await away.tell();
  expect(away.posts.length).toBe(statusTriesMax);
  expect((await fleet.admin.projects.commitStatus("greeter")).gaveUp).toBe(2);
});

test("a loop runs on one control plane at a time, and another takes over", async () => {
  const owners = ["6f2b8b9e-0000-4000-8000-000000000001", "6f2b8b9e-0000-4000-8000-000000000002"];
  const [one, two] = owners.map((owner) => new LoopLeases(fleet.database, owner));
  const runs: string[] = [];
  const round = async (): Promise<void> => {
    await one?.run("x", () => runs.push("one"));
    await two?.run("x", () => runs.push("two"));
  };
  await round();
  await round();
  expect(runs).toEqual(["one", "one"]);
  // Its holder died: nobody gives it up, and its time runs out.
  await fleet.database`update loops set until = now() - interval '1 second'`;
  await two?.run("x", () => runs.push("two"));
  expect(runs.at(-1)).toBe("two");
  await two?.release();
  const third = new LoopLeases(fleet.database, owners[0] ?? "");
  await third.run("x", () => runs.push("third"));
  expect(runs.at(-1)).toBe("third");
});
