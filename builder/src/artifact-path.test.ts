import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { findArtifact } from "./artifact-path.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "shoal-artifact-")));
const source = join(root, "source");
mkdirSync(join(source, "dist/deep"), { recursive: true });
mkdirSync(join(root, "outside"));
mkdirSync(join(root, "source-too"));
writeFileSync(join(source, "..data"), "");
symlinkSync("dist/deep", join(source, "inner"));
symlinkSync("../outside", join(source, "relative-out"));
symlinkSync("/etc", join(source, "absolute-out"));
symlinkSync("../source-too", join(source, "prefix-out"));
symlinkSync("nowhere", join(source, "dangling"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

test.for([
  ["dist", "dist"],
  ["./dist/", "dist"],
  ["dist/../dist/deep", "dist/deep"],
  ["inner", "dist/deep"],
  ["..data", "..data"],
] as const)("finds %s", async ([path, found]) => {
  expect(await findArtifact(source, path)).toBe(join(source, found));
});

test.for([
  "relative-out",
  "absolute-out",
  "absolute-out/passwd",
  "prefix-out",
  "..",
  "../outside",
  "dist/../../outside",
])("refuses %s, which leaves the checkout", async (path) => {
  await expect(findArtifact(source, path)).rejects.toMatchObject({ code: "artifact_escapes" });
});

test.for(["build", "dist/none", "dangling", "/etc"])("says that nothing is at %s", async (path) => {
  await expect(findArtifact(source, path)).rejects.toMatchObject({ code: "artifact_missing" });
});
