// Makes the git repository that the demo builds: an example program at three commits, v1, v2
// (a small change) and v3 (builds, but isn't well when it runs).
import { execFile } from "node:child_process";
import { cp, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const examplesDir = fileURLToPath(new URL("../../../examples/", import.meta.url));

export interface ExampleCommit {
  readonly version: string;
  readonly commit: string;
}

/** Lays each version's folder over the sources and what came before it, and commits the result. */
export async function makeExampleRepository(
  example: "greeter" | "worker",
  dir: string,
  searchPath: string,
): Promise<readonly ExampleCommit[]> {
  await mkdir(dir, { recursive: true });
  const git = (...args: string[]): Promise<string> => runGit(dir, searchPath, args);
  await git("init", "--quiet", "--initial-branch=main");
  const exampleDir = join(examplesDir, example);
  await cp(join(exampleDir, "source"), dir, { recursive: true });
  const versionsDir = join(exampleDir, "versions");
  const commits: ExampleCommit[] = [];
  for (const version of (await readdir(versionsDir)).toSorted()) {
    await cp(join(versionsDir, version), dir, { recursive: true });
    await git("add", "--all");
    await git("commit", "--quiet", "--message", version);
    commits.push({ version, commit: await git("rev-parse", "HEAD") });
  }
  return commits;
}

async function runGit(dir: string, searchPath: string, args: readonly string[]): Promise<string> {
  const { stdout } = await run("git", args, {
    cwd: dir,
    env: {
      PATH: searchPath,
      // The same commits on every machine, whatever its git configuration says.
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_CONFIG_SYSTEM: "/dev/null",
      GIT_AUTHOR_NAME: "Shoal",
      GIT_AUTHOR_EMAIL: "demo@shoal.invalid",
      GIT_AUTHOR_DATE: "2026-01-01T00:00:00Z",
      GIT_COMMITTER_NAME: "Shoal",
      GIT_COMMITTER_EMAIL: "demo@shoal.invalid",
      GIT_COMMITTER_DATE: "2026-01-01T00:00:00Z",
    },
  });
  return stdout.trim();
}
