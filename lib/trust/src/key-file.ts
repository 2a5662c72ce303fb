// A process's Ed25519 key: made here, kept as a JWK in a file that only its owner can read. The
// secret half leaves the object only by a method whose name says so; it never shows in a log.
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { link, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { ShoalError } from "@shoal/core/error";
import type { PeerId } from "@shoal/core/ids";
import { keyFileBytesMax } from "@shoal/core/limits";
import { peerIdOf } from "@shoal/core/peer-id";
import { decodeBase64Url } from "@shoal/core/trust/base64";
import { type PrivateJwk, type SigningKey, signingKeyOf } from "@shoal/core/trust/keys";
import { z } from "zod";

const privateJwk = z.strictObject({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  x: z.base64url().length(43),
  d: z.base64url().length(43),
});

/** An Ed25519 key with its secret half. */
export class KeyFile implements SigningKey {
  readonly keyId: string;
  /** Raw, 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly peerId: PeerId;
  readonly #jwk: PrivateJwk;
  readonly #signing: SigningKey;

  /** Throws `key_invalid` when the JWK isn't an Ed25519 key whose halves belong together. */
  constructor(jwk: PrivateJwk) {
    this.#signing = signingKeyOf(jwk);
    this.#jwk = jwk;
    this.keyId = this.#signing.keyId;
    this.publicKey = this.#signing.publicKey;
    this.peerId = peerIdOf(this.publicKey);
  }

  sign(bytes: Uint8Array): Uint8Array {
    return this.#signing.sign(bytes);
  }

  /** The whole key, secret half included. */
  exportSecretJwk(): PrivateJwk {
    return { ...this.#jwk };
  }

  /** 64 bytes, the secret seed and then the public key: the raw form that libp2p takes. */
  exportSecretRaw(): Uint8Array {
    const raw = new Uint8Array(64);
    raw.set(decodeBase64Url(this.#jwk.d));
    raw.set(this.publicKey, 32);
    return raw;
  }
}

/** A new random key, not yet in any file. */
export function createKey(): KeyFile {
  const { privateKey } = generateKeyPairSync("ed25519");
  return new KeyFile(privateJwk.parse(privateKey.export({ format: "jwk" })));
}

/**
 * Reads a key.
 * @throws ShoalError `key_file_missing`, `key_file_exposed` (others may read it) or `key_file_invalid`.
 */
export async function readKey(path: string): Promise<KeyFile> {
  const key = await readIfThere(path);
  if (key !== undefined) return key;
  throw new ShoalError("key_file_missing", `there is no key at ${path}`, { blame: "local" });
}

/** Writes a key to a new file, mode 0600. Throws `key_file_exists` rather than replace a key. */
export async function writeKey(path: string, key: KeyFile): Promise<void> {
  if (await createFile(path, `${JSON.stringify(key.exportSecretJwk())}\n`)) return;
  throw new ShoalError("key_file_exists", `${path} is there already`, { blame: "local" });
}

/** The key in a file, made first when there is no file. Processes that race end up with the same key. */
export async function loadOrCreateKey(path: string): Promise<KeyFile> {
  const found = await readIfThere(path);
  if (found !== undefined) return found;
  const key = createKey();
  const text = `${JSON.stringify(key.exportSecretJwk())}\n`;
  return (await createFile(path, text)) ? key : readKey(path);
}

async function readIfThere(path: string): Promise<KeyFile | undefined> {
  let file;
  try {
    file = await open(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    const { mode, size } = await file.stat();
    if ((mode & 0o077) !== 0) {
      throw new ShoalError("key_file_exposed", `others may read or write ${path}`, {
        blame: "local",
        hint: `Run chmod 600 ${path}, and replace the key if somebody may have read it.`,
      });
    }
    if (size > keyFileBytesMax) throw invalid(path);
    return decodeKey(path, await file.readFile("utf8"));
  } finally {
    await file.close();
  }
}

function decodeKey(path: string, text: string): KeyFile {
  try {
    return new KeyFile(privateJwk.parse(JSON.parse(text)));
  } catch {
    throw invalid(path); // Without the cause: it could quote the key.
  }
}

function invalid(path: string): ShoalError {
  return new ShoalError("key_file_invalid", `${path} isn't an Ed25519 key as a JWK`, {
    blame: "local",
  });
}

/** Whole or not at all, and only when the name is free: written beside, synced, then linked. */
async function createFile(path: string, text: string): Promise<boolean> {
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
  const folder = await open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
  return true;
}
