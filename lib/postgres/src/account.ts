// Which user Postgres runs as. It refuses to be root; so where we are root it runs as `nobody`, and
// everything it needs is made reachable for that user. Elsewhere it runs as whoever we are.
import { execFileSync } from "node:child_process";
import { readFile, realpath, stat, chmod } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import { ShoalError } from "@shoal/core/error";

/** The user and group of a process that isn't ours. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  /** For `spawn`, where setpriv isn't there to do it. */
  readonly identity: { readonly uid?: number; readonly gid?: number };
}

/**
 * The account to run as, or undefined for our own.
 * @throws ShoalError `postgres_no_account` when we are root and there is no user `nobody`.
 */
export async function chooseAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  // Postgres looks its user up, so an id without an entry won't do.
  const lines = (await readFile("/etc/passwd", "utf8")).split("\n");
  const [, , uid, gid] = lines.find((line) => line.startsWith("nobody:"))?.split(":") ?? [];
  if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  throw new ShoalError(
    "postgres_no_account",
    "Postgres can't run as root, and there is no nobody",
    {
      blame: "environment",
      hint: "Start as an ordinary user, or set DATABASE_URL.",
    },
  );
}

/**
 * A command as it has to be spawned to run under an account. With util-linux's setpriv the process
 * is told by the kernel (SIGINT: an orderly, fast shutdown) when this one dies, however it dies.
 */
export function commandAs(
  account: Account | undefined,
  file: string,
  args: readonly string[],
): Command {
  const identity = account === undefined ? {} : { uid: account.uid, gid: account.gid };
  if (!hasSetpriv()) return { file, args, identity };
  const user =
    account === undefined
      ? []
      : [`--reuid=${account.uid}`, `--regid=${account.gid}`, "--clear-groups"];
  return {
    file: "setpriv",
    args: [...user, "--pdeathsig", "INT", "--", file, ...args],
    identity: {},
  };
}

function hasSetpriv(): boolean {
  if (process.platform !== "linux") return false;
  try {
    // Util-linux before 2.33 and busybox have no --pdeathsig.
    execFileSync("setpriv", ["--pdeathsig", "INT", "--", "true"], {
      stdio: "ignore",
      timeout: 5000,
    });
    return true;
  } catch {
    return false;
  }
}

/**
 * Lets an account pass through a folder and every one above it. Only the folder itself and temporary
 * ones (mkdtemp makes them 0700) are changed; opening somebody's home isn't ours to do.
 * @throws ShoalError `postgres_dir_unreachable`.
 */
export async function makeReachable(folder: string, account: Account): Promise<void> {
  const start = await realpath(folder);
  const temporary = await realpath(tmpdir());
  for (let path = start; ; path = dirname(path)) {
    const { uid, mode } = await stat(path);
    const passable = uid === account.uid ? (mode & 0o100) !== 0 : (mode & 0o001) !== 0;
    if (!passable) {
      if (path !== start && !path.startsWith(`${temporary}/`)) {
        throw new ShoalError(
          "postgres_dir_unreachable",
          `user ${account.uid} can't enter ${path}`,
          {
            blame: "local",
            hint: "Put the state under /var/lib or /tmp, start as an ordinary user, or set DATABASE_URL.",
          },
        );
      }
      await chmod(path, (mode & 0o7777) | 0o001);
    }
    if (path === dirname(path)) return;
  }
}
