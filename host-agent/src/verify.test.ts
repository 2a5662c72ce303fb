import { chmod, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Manifest } from "@shoal/core/content/manifest";
import { encodeManifest, manifestCid } from "@shoal/core/content/manifest-codec";
import { digest } from "@shoal/core/digest";
import { openReleaseFiles, removeReleaseFiles } from "@shoal/store/release-files";
import { lockFolder } from "@shoal/daemon/folder-lock";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startRepairs } from "./repair.ts";
import { silentLog } from "./test-folder.test-kit.ts";
import { runVerify } from "./verify.ts";

const chunks = [1, 2, 3].map((seed) => new Uint8Array(70_000).fill(seed));
const manifest: Manifest = {
  kind: "tree",
  entries: [{ type: "file", path: "app", mode: 0o755, bytes: 210_000 }],
  bytes: 210_000,
  chunkHashes: Uint8Array.from(chunks.flatMap((chunk) => [...digest(chunk)])),
  chunkBytes: Uint32Array.from(chunks.map(({ length }) => length)),
};
const cid = manifestCid(encodeManifest(manifest));
let stateDir: string;

beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), "shoal-verify-"));
  await bring();
});
afterEach(async () => {
  await removeReleaseFiles(join(stateDir, "releases", cid));
  await rm(stateDir, { recursive: true });
});

async function bring(): Promise<void> {
  const files = await openReleaseFiles(join(stateDir, "releases", cid), manifest);
  for (const [index, chunk] of chunks.entries()) await files.write(index, chunk);
  await files.seal();
  await files.close();
}

async function damage(): Promise<void> {
  const path = join(stateDir, "releases", cid, "tree", "app");
  await chmod(path, 0o755);
  const handle = await open(path, "r+");
  await handle.write(Uint8Array.of(9), 0, 1, 100_000);
  await handle.close();
}

async function verify(...flags: string[]): Promise<{ status: number; lines: string[] }> {
  const lines: string[] = [];
  const sources = { environment: {}, argv: ["--state-dir", stateDir, ...flags] };
  const status = await runVerify(sources, (line) => lines.push(line));
  return { status, lines };
}

test("finds nothing wrong with a release as it was sealed", async () => {
  expect(await verify()).toEqual({ status: 0, lines: [`${cid}  is as it should be`] });
});

test("lists what is wrong with a release, and how much has to be fetched", async () => {
  await damage();
  const { status, lines } = await verify();
  expect(status).toBe(1);
  expect(lines).toContain("  app has other bytes");
  expect(lines).toContain("  1 chunks, 70000 bytes to fetch");
  expect(lines.at(-1)).toMatch(/--repair/);
});

test("asks the agent that is running to repair, and looks again", async () => {
  await damage();
  const lock = await lockFolder("agent", stateDir);
  let isHeld = true;
  const mended: string[] = [];
  const mend = async (asked: string): Promise<"mending"> => {
    mended.push(asked);
    isHeld = false;
    await removeReleaseFiles(join(stateDir, "releases", cid));
    await bring();
    isHeld = true;
    return "mending";
  };
  const repairs = startRepairs(
    { artifacts: { mend, isHeld: () => isHeld }, log: silentLog },
    stateDir,
  );
  const { status, lines } = await verify("--repair");
  await repairs.stop();
  await lock.release();
  expect(mended).toEqual([cid]);
  expect([status, lines.at(-1)]).toEqual([0, `${cid}  is as it should be`]);
});

test("says that nobody repairs while no agent runs", async () => {
  await damage();
  const { status, lines } = await verify("--repair");
  expect(status).toBe(2);
  expect(lines.at(-1)).toMatch(/no agent works in/);
});
