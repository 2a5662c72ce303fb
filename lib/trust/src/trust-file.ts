// The trust document as a file beside a process, with the root key that its configuration pins. The file
// is one signed document, or the list of those that lead from an older root to the newest.
import { envelope, type Envelope } from "@shoal/api/names";
import { ShoalError } from "@shoal/core/error";
import { trustDocuments } from "@shoal/api/trust";
import { trustStateBytesMax } from "@shoal/core/limits";
import { decodeBase64Url } from "@shoal/core/trust/base64";
import { readFile, stat } from "node:fs/promises";
import { z } from "zod";
import { followChain } from "./trust-chain.ts";
import { requireUnexpired, type TrustDocument } from "./trust-document.ts";

const trustFile = z.union([
  trustDocuments,
  envelope.transform((one): readonly Envelope[] => [one]),
]);

/** Reads the documents of a file; nothing is verified. Throws `trust_file_unreadable`. */
export async function readTrustChain(path: string): Promise<readonly Envelope[]> {
  const parsed = trustFile.safeParse(await readJsonFile(path));
  if (parsed.success) return parsed.data;
  throw unreadable(path, "it isn't a signed document");
}

/**
 * Reads and verifies the newest document of a file.
 * @throws ShoalError `trust_file_unreadable`, of `followChain`, or `trust_document_expired`.
 */
export async function readTrustFile(
  path: string,
  rootPublicKey: string,
  nowMs: number,
): Promise<TrustDocument> {
  const pinned = decodeBase64Url(rootPublicKey);
  const { document } = followChain({ pinned }, await readTrustChain(path));
  requireUnexpired(document, nowMs);
  return document;
}

async function readJsonFile(path: string): Promise<unknown> {
  try {
    if ((await stat(path)).size > trustStateBytesMax) throw unreadable(path, "it is too large");
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
