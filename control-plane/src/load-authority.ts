// Reads keys and admin token from their files, and looks at the keys again while the process runs, so
// that a key is replaced without a restart. A key counts only once the trust document lets it sign: a
// control plane whose key nobody trusts would sign goals that every host refuses.
import { ShoalError } from "@shoal/core/error";
import { readFileBounded } from "@shoal/daemon/atomic-file";
import { type KeyFile, readKey } from "@shoal/trust/key-file";
import type { TrustDocument } from "@shoal/trust/trust-document";
import type { AuthorityKeys } from "./authority.ts";
import type { ControlPlaneConfig } from "./config.ts";
import { hashToken } from "./operations/secrets.ts";

const tokenLengthMin = 16;
const uses = ["goals", "passports", "grants"] as const;

export interface LiveKeysDeps {
  readonly trust: () => TrustDocument;
  readonly log: {
    info(facts: object, message: string): void;
    warn(facts: object, message: string): void;
  };
}

type KeyFiles = Pick<
  ControlPlaneConfig,
  "keyFile" | "goalKeyFile" | "passportKeyFile" | "grantKeyFile"
>;

export class LiveKeys {
  readonly #deps: LiveKeysDeps;
  readonly #files: KeyFiles;
  #keys: AuthorityKeys;
  /** What was said last about keys that don't count yet: said once. */
  #complaint = "";

  private constructor(deps: LiveKeysDeps, files: KeyFiles, keys: AuthorityKeys) {
    this.#deps = deps;
    this.#files = files;
    this.#keys = keys;
  }

  /** Throws `key_not_trusted`, or what `readKey` throws. */
  static async open(deps: LiveKeysDeps, files: KeyFiles): Promise<LiveKeys> {
    const keys = await readKeys(files);
    for (const use of uses) requireTrusted(deps.trust(), use, keys[use].keyId);
    return new LiveKeys(deps, files, keys);
  }

  keys(): AuthorityKeys {
    return this.#keys;
  }

  /** Looks at the files again; what can't be used yet is said once, and the keys so far stay. */
  async refresh(): Promise<void> {
    const { trust, log } = this.#deps;
    try {
      const keys = await readKeys(this.#files);
      for (const use of uses) {
        if (keys[use].keyId === this.#keys[use].keyId) continue;
        requireTrusted(trust(), use, keys[use].keyId);
        log.info({ use, key: keys[use].keyId }, "signs with a new key from now on");
        this.#keys = { ...this.#keys, [use]: keys[use] };
      }
      this.#complaint = "";
    } catch (error) {
      const complaint = error instanceof Error ? error.message : String(error);
      if (complaint !== this.#complaint) log.warn({ error }, "a new key can't be used yet");
      this.#complaint = complaint;
    }
  }
}

/** SHA-256 of the admin token. */
export async function loadAdminTokenHash(path: string): Promise<Uint8Array> {
  const token = (await readText(path, 4096)).trim();
  if (token.length < tokenLengthMin) {
    throw new ShoalError(
      "config_invalid",
      `The admin token has fewer than ${tokenLengthMin} characters.`,
      {
        blame: "local",
        hint: "Use 32 random bytes.",
      },
    );
  }
  return hashToken(token);
}

async function readKeys(
  files: KeyFiles,
): Promise<Readonly<Record<(typeof uses)[number], KeyFile>>> {
  return {
    goals: await readKey(files.goalKeyFile ?? files.keyFile),
    passports: await readKey(files.passportKeyFile ?? files.keyFile),
    grants: await readKey(files.grantKeyFile ?? files.keyFile),
  };
}

function requireTrusted(trust: TrustDocument, use: (typeof uses)[number], keyId: string): void {
  if (trust[use].some((rule) => rule.key === keyId)) return;
  throw new ShoalError(
    "key_not_trusted",
    `The trust document doesn't let key ${keyId} sign ${use}.`,
    {
      blame: "local",
      hint: "Publish a trust document that names the key, or go on with the key that it names.",
    },
  );
}

async function readText(path: string, bytesMax: number): Promise<string> {
  const unreadable = (message: string, cause?: unknown): ShoalError =>
    new ShoalError("file_unreadable", message, { blame: "local", cause });
  const bytes = await readFileBounded(path, bytesMax).catch((error: unknown) => {
    if (!(error instanceof ShoalError)) throw unreadable(`${path} can't be read.`, error);
    throw unreadable(`${path} is larger than ${bytesMax} bytes.`);
  });
  if (bytes === undefined) throw unreadable(`${path} can't be read.`);
  return Buffer.from(bytes).toString("utf8");
}
