// Secrets of services on their way to hosts: sealed by whoever sets them for the environment's X25519
// key, opened by hosts that were given its private half. Goals, seeders and the control plane carry the
// sealed form only. A sealed secret opens in its own place (environment, service, name) and no other.
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  randomBytes,
} from "node:crypto";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { ShoalError } from "@shoal/core/error";
import { keyFileBytesMax } from "@shoal/core/limits";
import type { SealedSecret } from "@shoal/core/rollout/release";
import { decodeBase64Url, encodeBase64Url } from "@shoal/core/trust/base64";
import { z } from "zod";

/** Where a secret belongs. */
export interface SecretPlace {
  readonly environment: string;
  readonly service: string;
  readonly name: string;
}

const jwkSchema = z.strictObject({
  kty: z.literal("OKP"),
  crv: z.literal("X25519"),
  x: z.base64url().length(43),
  d: z.base64url().length(43),
});

const ephemeralBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/**
 * X25519 with a new key for each secret, HKDF-SHA256, AES-256-GCM; the sealed form is ephemeral key,
 * nonce, ciphertext and tag. Throws `secrets_key_invalid`.
 */
export function sealSecret(publicKey: string, place: SecretPlace, value: Uint8Array): SealedSecret {
  const ephemeral = generateKeyPairSync("x25519");
  const shared = agree(() =>
    diffieHellman({ privateKey: ephemeral.privateKey, publicKey: publicKeyOf(publicKey) }),
  );
  const mine = decodeBase64Url(ephemeral.publicKey.export({ format: "jwk" }).x ?? "");
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv("aes-256-gcm", deriveKey(shared, mine, publicKey), nonce);
  cipher.setAAD(placeBytes(place));
  const text = Buffer.concat([cipher.update(value), cipher.final()]);
  const sealed = Buffer.concat([mine, nonce, text, cipher.getAuthTag()]);
  return { key: publicKey, sealed: encodeBase64Url(sealed) };
}

/** The private half of an environment's key; it never shows in a log. */
export class SecretsKey {
  readonly publicKey: string;
  readonly #jwk: z.infer<typeof jwkSchema>;

  constructor(jwk: z.infer<typeof jwkSchema>) {
    this.#jwk = jwk;
    this.publicKey = jwk.x;
  }

  static create(): SecretsKey {
    const { privateKey } = generateKeyPairSync("x25519");
    return new SecretsKey(jwkSchema.parse(privateKey.export({ format: "jwk" })));
  }

  /** Throws `secret_unreadable` for what was sealed for another key or place, or was changed. */
  open(place: SecretPlace, { key, sealed }: SealedSecret): Uint8Array {
    try {
      if (key !== this.publicKey) throw new Error("sealed for another key");
      const bytes = decodeBase64Url(sealed);
      const mine = bytes.subarray(0, ephemeralBytes);
      const nonce = bytes.subarray(ephemeralBytes, ephemeralBytes + nonceBytes);
      const text = bytes.subarray(ephemeralBytes + nonceBytes, bytes.length - tagBytes);
      const shared = diffieHellman({
        privateKey: createPrivateKey({ key: this.#jwk, format: "jwk" }),
        publicKey: publicKeyOf(encodeBase64Url(mine)),
      });
      const secret = deriveKey(shared, mine, this.publicKey);
      const decipher = createDecipheriv("aes-256-gcm", secret, nonce);
      decipher.setAAD(placeBytes(place));
      decipher.setAuthTag(bytes.subarray(bytes.length - tagBytes));
      return Buffer.concat([decipher.update(text), decipher.final()]);
    } catch {
      // Without the cause: nothing about a secret is told.
      throw unreadable(place);
    }
  }

  /** Writes a new file of mode 0600; never replaces one. */
  async write(path: string): Promise<void> {
    const file = await open(path, "wx", 0o600);
    try {
      await file.writeFile(`${JSON.stringify(this.#jwk)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
  }
}

/** Throws `secrets_key_invalid` when the file isn't there, isn't such a key, or others may read it. */
export async function readSecretsKey(path: string): Promise<SecretsKey> {
  const refuse = (why: string): ShoalError =>
    new ShoalError("secrets_key_invalid", `${path} ${why}.`, { blame: "local" });
  const file = await open(path, constants.O_RDONLY).catch(() => null);
  if (file === null) throw refuse("can't be opened");
  try {
    const { mode, size } = await file.stat();
    if ((mode & 0o077) !== 0) throw refuse("may be read by others: run chmod 600");
    if (size > keyFileBytesMax) throw refuse("is too large for a key");
    const parsed = jwkSchema.safeParse(parseJson(await file.readFile("utf8")));
    if (!parsed.success) throw refuse("isn't an X25519 key as a JWK");
    return new SecretsKey(parsed.data);
  } finally {
    await file.close();
  }
}

/** Opens a secret with whichever key it was sealed for. Throws `secret_unreadable`. */
export function openSecret(
  keys: readonly SecretsKey[],
  place: SecretPlace,
  secret: SealedSecret,
): Uint8Array {
  const key = keys.find(({ publicKey }) => publicKey === secret.key);
  if (key === undefined) throw unreadable(place);
  return key.open(place, secret);
}

function unreadable({ environment, service, name }: SecretPlace): ShoalError {
  const where = `${environment}/${service}`;
  return new ShoalError(
    "secret_unreadable",
    `The secret ${name} of ${where} can't be opened here.`,
    {
      blame: "environment",
      hint: "Give the host the private key that it was sealed for: secretsKeyFiles.",
    },
  );
}

function publicKeyOf(x: string): ReturnType<typeof createPublicKey> {
  return createPublicKey({ key: { kty: "OKP", crv: "X25519", x }, format: "jwk" });
}

function agree(work: () => Buffer): Buffer {
  try {
    return work();
  } catch {
    throw new ShoalError("secrets_key_invalid", "That isn't an X25519 public key.", {
      blame: "remote",
    });
  }
}

function deriveKey(shared: Uint8Array, ephemeral: Uint8Array, recipient: string): Uint8Array {
  const salt = Buffer.concat([ephemeral, decodeBase64Url(recipient)]);
  return new Uint8Array(hkdfSync("sha256", shared, salt, "shoal.secret/v1", 32));
}

function placeBytes({ environment, service, name }: SecretPlace): Uint8Array {
  return new TextEncoder().encode(JSON.stringify([environment, service, name]));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
