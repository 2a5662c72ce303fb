// Reads keys, trust document and admin token from their files, and checks that they fit: a control
// plane whose key nobody trusts would sign goals that every host refuses.
import { open } from "node:fs/promises";
import { envelope } from "@shoal/api/names";
import { ShoalError } from "@shoal/core/error";
import { envelopeBytesMax } from "@shoal/core/limits";
import { decodeBase64Url } from "@shoal/core/trust/base64";
import { readKey } from "@shoal/trust/key-file";
import { type TrustDocument, readTrustDocument } from "@shoal/trust/trust-document";
import { Authority, type AuthorityKeys } from "./authority.ts";
import type { ControlPlaneConfig } from "./config.ts";
import { hashToken } from "./operations/secrets.ts";

const tokenLengthMin = 16;

export async function loadAuthority(
  config: ControlPlaneConfig,
  now: () => number,
): Promise<Authority> {
  const keys: AuthorityKeys = {
    goals: await readKey(config.goalKeyFile ?? config.keyFile),
    passports: await readKey(config.passportKeyFile ?? config.keyFile),
    grants: await readKey(config.grantKeyFile ?? config.keyFile),
  };
  const text = await readText(config.trustFile, envelopeBytesMax);
  const trust = readTrustDocument(parseEnvelope(text), decodeBase64Url(config.rootPublicKey), {
    nowMs: now(),
    knownVersion: 0,
  });
  for (const use of ["goals", "passports", "grants"] as const) {
    requireTrusted(trust, use, keys[use].keyId);
  }
  return new Authority({ keys, trust, now });
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

function parseEnvelope(text: string): ReturnType<typeof envelope.parse> {
  try {
    return envelope.parse(JSON.parse(text));
  } catch (error) {
    throw new ShoalError("trust_document_invalid", "The trust document isn't a signed envelope.", {
      blame: "local",
      cause: error,
    });
  }
}

function requireTrusted(
  trust: TrustDocument,
  use: "goals" | "passports" | "grants",
  keyId: string,
): void {
  if (trust[use].some((rule) => rule.key === keyId)) return;
  throw new ShoalError(
    "key_not_trusted",
    `The trust document doesn't let key ${keyId} sign ${use}.`,
    {
      blame: "local",
      hint: "Add the key to the trust document, or start with the key that is in it.",
    },
  );
}

async function readText(path: string, bytesMax: number): Promise<string> {
  let file;
  try {
    file = await open(path);
  } catch (error) {
    throw new ShoalError("file_unreadable", `${path} can't be read.`, {
      blame: "local",
      cause: error,
    });
  }
  await using handle = file;
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytesMax + 1), 0, bytesMax + 1, 0);
  if (bytesRead > bytesMax) {
    throw new ShoalError("file_unreadable", `${path} is larger than ${bytesMax} bytes.`, {
      blame: "local",
    });
  }
  return buffer.toString("utf8", 0, bytesRead);
}
