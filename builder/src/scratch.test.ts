import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openScratch } from "./scratch.ts";
import { lockWorkDir } from "./work-dir-lock.ts";
import { makeWorkspace, removeTree } from "./workspace.ts";

const searchPath = process.env["PATH"] ?? "/usr/bin:/bin";
const own = { uid: null, searchPath };
const other = { uid: 64_010, searchPath };
let root = "";

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "shoal-scratch-")));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test("builds in the work folder when the build's user can reach it", async () => {
  chmodSync(root, 0o711);
  const workDir = join(root, "work");
  for (const owner of [own, other]) {
    const scratch = await openScratch(workDir, owner);
    expect(scratch.folder).toBe(join(workDir, "builds"));
    await scratch.close();
  }
});

test("lets the build's user through whatever the umask of whoever started the builder", async () => {
  chmodSync(root, 0o711);
  const before = process.umask(0o077);
  try {
    const scratch = await openScratch(join(root, "other"), own);
    expect(statSync(scratch.folder).mode & 0o777).toBe(0o711);
    await scratch.close();
  } finally {
    process.umask(before);
  }
});

test("builds elsewhere when it can't, and clears that away, also after a kill", async () => {
  const workDir = join(root, "work");
  const killed = await openScratch(workDir, other);
  expect(dirname(killed.folder)).toBe(realpathSync(tmpdir()));
  writeFileSync(join(killed.folder, "left"), "");
  const next = await openScratch(workDir, other);
  expect(existsSync(killed.folder)).toBe(false);
  expect(next.folder).not.toBe(killed.folder);
  await next.close();
  expect(existsSync(next.folder)).toBe(false);
});

test("never removes a folder that it didn't make, whatever the record says", async () => {
  const workDir = join(root, "work");
  const precious = join(root, "precious");
  mkdirSync(workDir);
  mkdirSync(precious);
  writeFileSync(join(workDir, "scratch-elsewhere"), precious);
  const scratch = await openScratch(workDir, own);
  expect(existsSync(precious)).toBe(true);
  await scratch.close();
});

test("removes a workspace whatever the build left in it", async () => {
  const workspace = await makeWorkspace(root, "1", own);
  const closed = join(workspace.folders.source, "closed");
  mkdirSync(join(closed, "deep"), { recursive: true });
  writeFileSync(join(closed, "deep", "file"), "");
  chmodSync(join(closed, "deep"), 0o000);
  chmodSync(closed, 0o000);
  await removeTree(workspace.folder, searchPath);
  expect(existsSync(workspace.folder)).toBe(false);
});

test("lets only one builder into a work folder", async () => {
  const scope = `locktest-${process.pid}`;
  const lock = await lockWorkDir(scope, root);
  await expect(lockWorkDir(scope, root)).rejects.toMatchObject({ code: "work_dir_in_use" });
  await lock.release();
  const again = await lockWorkDir(scope, root);
  await again.release();
});
