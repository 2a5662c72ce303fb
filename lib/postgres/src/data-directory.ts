// The folder of one embedded Postgres: `data` (Postgres's own), `password`, and logs. Made once and
// whole: a folder that isn't finished carries another name and is thrown away by the next start.
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, chown, mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { ShoalError } from "@shoal/core/error";
import { postgresInitMsMax } from "@shoal/core/limits";
import { type Account, commandAs } from "./account.ts";
import type { Binaries } from "./binaries.ts";

export const superuser = "shoal";

const run = promisify(execFile);

export interface DataDirectory {
  readonly data: string;
  readonly password: string;
}

/**
 * Opens or makes the data folder under `dir`. Connections need the password, because every local
 * user can reach a loopback port.
 * @throws ShoalError `postgres_init_failed` or `postgres_version_wrong`.
 */
export async function openDataDirectory(
  dir: string,
  binaries: Binaries,
  account: Account | undefined,
): Promise<DataDirectory> {
  const data = join(dir, "data");
  const partial = join(dir, "data.partial");
  const passwordFile = join(dir, "password");
  if (await isThere(data)) {
    await requireSameVersion(data, binaries, account);
    return { data, password: (await readFile(passwordFile, "utf8")).trim() };
  }
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { mode: 0o700 });
  const password = randomBytes(24).toString("base64url");
  // Written before the data gets its name: data without its password would be of no use.
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600, flush: true });
  await chmod(passwordFile, 0o600);
  await initialise({ dir, partial, password }, binaries, account);
  await rename(partial, data);
  return { data, password };
}

async function initialise(
  {
    dir,
    partial,
    password,
  }: { readonly dir: string; readonly partial: string; readonly password: string },
  binaries: Binaries,
  account: Account | undefined,
): Promise<void> {
  // initdb reads it as the account that it runs as, which may not read our own file.
  const given = join(dir, "password.given");
  await rm(given, { force: true });
  await writeFile(given, `${password}\n`, { mode: 0o600 });
  if (account !== undefined) {
    await chown(partial, account.uid, account.gid);
    await chown(given, account.uid, account.gid);
  }
  const options = ["-D", partial, "-U", superuser, "-E", "UTF8", "--locale=C", "--no-instructions"];
  const { file, args, identity } = commandAs(account, binaries.initdb, [
    ...options,
    "--auth=scram-sha-256",
    `--pwfile=${given}`,
  ]);
  try {
    await run(file, [...args], { ...identity, cwd: "/", timeout: postgresInitMsMax });
  } catch (cause) {
    const { stderr, message } = cause as Error & { stderr?: string };
    const lines = (stderr ?? "").trim().split("\n");
    const reason = lines.find((line) => /error|fatal|could not/i.test(line)) ?? lines[0];
    throw new ShoalError("postgres_init_failed", reason === "" ? message : (reason ?? message), {
      blame: "environment",
      hint: "Set DATABASE_URL to use another Postgres.",
      cause,
    });
  } finally {
    await rm(given, { force: true });
  }
}

async function requireSameVersion(
  data: string,
  binaries: Binaries,
  account: Account | undefined,
): Promise<void> {
  const { file, args, identity } = commandAs(account, binaries.postgres, ["--version"]);
  const { stdout } = await run(file, [...args], { ...identity, cwd: "/", timeout: 10_000 });
  const program = /(\d+)\.\d+/.exec(stdout)?.[1];
  const stored = (await readFile(join(data, "PG_VERSION"), "utf8")).trim();
  if (program === stored) return;
  throw new ShoalError(
    "postgres_version_wrong",
    `${data} is of Postgres ${stored}, and this is Postgres ${program}`,
    { blame: "local", hint: "Dump it with the old version and restore it into a new folder." },
  );
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
