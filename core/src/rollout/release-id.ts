// The id of a release: a hash of all that it consists of, so that equal releases have equal ids
// everywhere and a release can't be changed under its id.
import { canonicalJson } from "../canonical-json.ts";
import { digest, toHex } from "../digest.ts";
import type { Release } from "./release.ts";

/** `rel-` and the first 16 bytes, in hexadecimal, of BLAKE3 of the canonical JSON of everything but `id`. */
export function releaseId(release: Omit<Release, "id">): string {
  const { artifact, project, commit, run } = release;
  const text = canonicalJson({ artifact, project, commit, run });
  return `rel-${toHex(digest(new TextEncoder().encode(text)).subarray(0, 16))}`;
}
