// From one trust document to the next (PROTOCOL.md 3.2). Each is signed by a root that the one before it
// believes in, so that roots change while the fleet runs: who pins an old root follows the chain of
// documents that changed it. Pure; trust-keeper.ts keeps the result.
import type { Envelope } from "@shoal/api/names";
import { remoteError } from "@shoal/core/error";
import { trustChainMax } from "@shoal/core/limits";
import { decodeBase64, decodeBase64Url } from "@shoal/core/trust/base64";
import { openTrustDocument, type TrustDocument } from "./trust-document.ts";

export interface KnownTrust {
  readonly document: TrustDocument;
  /** Raw keys, one of which has to sign the next document. */
  readonly roots: readonly Uint8Array[];
  /** The documents that changed the roots, and the newest one last: 1 … `trustChainMax`. */
  readonly chain: readonly Envelope[];
}

/** What a reader starts with: a document, or no more than the root that its configuration pins. */
export type TrustStart = KnownTrust | { readonly pinned: Uint8Array };

/**
 * Follows a chain as far as it leads. Documents that its reader's roots didn't sign are passed over as
 * long as a later one is signed by them; dates are for the caller, because an old link may have ended.
 * @throws ShoalError of `openTrustDocument` about the last document; `trust_document_rolled_back` when
 *   it is older than the one known, `trust_document_conflict` when it is another one of its version.
 */
export function followChain(start: TrustStart, chain: readonly Envelope[]): KnownTrust {
  let known: KnownTrust | null = "pinned" in start ? null : start;
  let refusal: unknown = remoteError("trust_document_invalid", "there is no trust document");
  for (const envelope of chain) {
    try {
      const roots = known?.roots ?? ("pinned" in start ? [start.pinned] : []);
      known = advance(known, envelope, openTrustDocument(envelope, roots), roots);
      refusal = undefined;
    } catch (error) {
      refusal = error;
    }
  }
  if (refusal !== undefined || known === null) throw refusal;
  // Who was installed with a new root learns the links from older ones here, to pass them on: those who
  // pin an older root judge them.
  const links = [...chain.slice(0, -1).filter(namesRoots), ...chain.slice(-1)];
  if (links.length <= known.chain.length) return known;
  return { ...known, chain: links.slice(-trustChainMax) };
}

function advance(
  known: KnownTrust | null,
  envelope: Envelope,
  document: TrustDocument,
  roots: readonly Uint8Array[],
): KnownTrust {
  const { version } = document;
  if (known !== null && version < known.document.version) {
    const message = `trust document ${version} is older than ${known.document.version}, which is known`;
    throw remoteError("trust_document_rolled_back", message);
  }
  if (known !== null && version === known.document.version) {
    if (known.chain.at(-1)?.payload === envelope.payload) return known;
    const message = `there is another trust document of version ${version}`;
    throw remoteError("trust_document_conflict", message);
  }
  const isLink = known !== null && known.document.roots !== undefined;
  const before = isLink ? known?.chain : known?.chain.slice(0, -1);
  return {
    document,
    roots: document.roots?.map(decodeBase64Url) ?? roots,
    chain: [...(before ?? []), envelope].slice(-trustChainMax),
  };
}

/** Whether a document that nobody has verified says that it changes the roots. */
function namesRoots({ payload }: Envelope): boolean {
  try {
    const document: unknown = JSON.parse(new TextDecoder().decode(decodeBase64(payload)));
    return typeof document === "object" && document !== null && "roots" in document;
  } catch {
    return false;
  }
}
