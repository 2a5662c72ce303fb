// The secrets that an operator gives to the builds of a project: files in a folder of the builder, read
// anew for each attempt, so that replacing one needs no restart. A build gets copies that it alone can
// read, for as long as it lasts.
import { chown, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { secretUnusable } from "@shoal/core/build/retry";
import { ShoalError } from "@shoal/core/error";
import { projectSecretsMax, secretBytesMax, secretBytesMin } from "@shoal/core/limits";
import { readFileBounded } from "@shoal/daemon/atomic-file";

export interface ProjectSecret {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const namePattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/**
 * The secrets in `<secretsDir>/<project>`; none when there is no such folder. Names that begin with a dot
 * are left out: that is how secrets that are mounted keep their versions.
 * @throws ShoalError `secret_unusable`, which names the file and never what is in it.
 */
export async function readProjectSecrets(
  secretsDir: string | null,
  project: string,
): Promise<readonly ProjectSecret[]> {
  if (secretsDir === null) return [];
  const folder = join(secretsDir, project);
  const names = (await namesIn(folder)).filter((name) => !name.startsWith("."));
  if (names.length > projectSecretsMax) {
    throw unusable(folder, `holds more than ${projectSecretsMax} files`);
  }
  const secrets: ProjectSecret[] = [];
  for (const name of names.toSorted()) {
    const path = join(folder, name);
    if (!namePattern.test(name)) throw unusable(path, "has a name that no secret may have");
    secrets.push({ name, bytes: await readSecret(path) });
  }
  return secrets;
}

/** Puts copies into a folder that is the build's alone. */
export async function placeSecrets(
  secrets: readonly ProjectSecret[],
  folder: string,
  uid: number | null,
): Promise<void> {
  for (const { name, bytes } of secrets) {
    const path = join(folder, name);
    await writeFile(path, bytes, { mode: 0o400 });
    if (uid !== null) await chown(path, uid, uid);
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return [];
    throw unusable(folder, `can't be read (${code})`);
  }
}

async function readSecret(path: string): Promise<Uint8Array> {
  const stats = await stat(path).catch(() => undefined);
  if (stats?.isFile() !== true) throw unusable(path, "isn't a file that can be read");
  if ((stats.mode & 0o077) !== 0) {
    const why = "can be read by others";
    throw unusable(path, why, `Run chmod 600 ${path}, and replace what is in it.`);
  }
  const bytes = await readFileBounded(path, secretBytesMax).catch(() => undefined);
  if (bytes === undefined)
    throw unusable(path, `can't be read, or is over ${secretBytesMax} bytes`);
  // Otherwise it couldn't be masked without masking much else.
  if (Buffer.from(bytes).toString("latin1").trim().length < secretBytesMin) {
    throw unusable(path, `is shorter than ${secretBytesMin} bytes`);
  }
  return bytes;
}

function unusable(path: string, why: string, hint?: string): ShoalError {
  return new ShoalError(secretUnusable, `The builder's secret ${path} ${why}.`, {
    blame: "local",
    hint,
  });
}
