// A release's secrets as files for its program: opened when it starts, in a folder that its user alone
// can enter. Nothing else of them is kept, logged or put into an environment variable.
import { chmod, chown, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Release } from "@shoal/core/rollout/release";
import { type SecretsKey, openSecret } from "@shoal/trust/sealed-secret";
import type { ProgramUser } from "./program.ts";

/** Programs find the folder of their secrets by this variable. */
export const secretsVariable = "SHOAL_SECRETS";

export interface SecretFilesConfig {
  readonly environment: string;
  readonly service: string;
  readonly keys: readonly SecretsKey[];
  readonly user: ProgramUser | null;
}

/**
 * Writes what the release has into `folder`, in place of what an earlier one had: files of mode 0400.
 * Answers whether there are any. Throws `secret_unreadable` before anything is written.
 */
export async function writeSecretFiles(
  folder: string,
  release: Release,
  config: SecretFilesConfig,
): Promise<boolean> {
  const { environment, service, keys, user } = config;
  await rm(folder, { recursive: true, force: true });
  const opened = Object.entries(release.run.secrets ?? {}).map(([name, secret]) => ({
    name,
    value: openSecret(keys, { environment, service, name }, secret),
  }));
  if (opened.length === 0) return false;
  await mkdir(folder, { mode: 0o700 });
  for (const { name, value } of opened) {
    const path = join(folder, name);
    await writeFile(path, value, { mode: 0o400, flag: "wx" });
    if (user !== null) await chown(path, user.uid, user.gid);
  }
  await chmod(folder, 0o500);
  if (user !== null) await chown(folder, user.uid, user.gid);
  return true;
}
