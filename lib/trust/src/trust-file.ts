// The trust document as a file beside a process, with the root key that its configuration pins.
import { envelope } from "@shoal/api/names";
import { ShoalError } from "@shoal/core/error";
import { envelopeBytesMax } from "@shoal/core/limits";
import { decodeBase64Url } from "@shoal/core/trust/base64";
import { readFile, stat } from "node:fs/promises";
import { readTrustDocument, type TrustDocument } from "./trust-document.ts";

/**
 * Reads and verifies a trust document.
 * @throws ShoalError `trust_file_unreadable` or one of `readTrustDocument`.
 */
export async function readTrustFile(
  path: string,
  rootPublicKey: string,
  nowMs: number,
): Promise<TrustDocument> {
  const signed = envelope.safeParse(await readJsonFile(path));
  if (!signed.success) throw unreadable(path, "it isn't a signed document");
  return readTrustDocument(signed.data, decodeBase64Url(rootPublicKey), { nowMs, knownVersion: 0 });
}

async function readJsonFile(path: string): Promise<unknown> {
  try {
    if ((await stat(path)).size > envelopeBytesMax) throw unreadable(path, "it is too large");
    return JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    throw error instanceof ShoalError ? error : unreadable(path, String(error));
  }
}

function unreadable(path: string, why: string): ShoalError {
  return new ShoalError(
    "trust_file_unreadable",
    `The trust document ${path} can't be read: ${why}.`,
    {
      blame: "local",
      hint: "Name the file that `shoal keys create` or your operator made with --trust-file",
    },
  );
}
