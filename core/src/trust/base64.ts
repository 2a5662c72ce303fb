// Base64 with exactly one spelling for each byte string: padding as the alphabet calls for, no
// whitespace, no stray bits. The platform's decoder alone would skip whitespace.
import { remoteError } from "../error.ts";

export function encodeBase64(bytes: Uint8Array): string {
  return bytes.toBase64();
}

/** Standard alphabet with padding. Throws `base64_invalid`. */
export function decodeBase64(text: string): Uint8Array {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw invalid();
  return decode(text, "base64");
}

export function encodeBase64Url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** URL alphabet without padding. Throws `base64_invalid`. */
export function decodeBase64Url(text: string): Uint8Array {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) throw invalid();
  return decode(text + "=".repeat((4 - (text.length % 4)) % 4), "base64url");
}

function decode(text: string, alphabet: "base64" | "base64url"): Uint8Array {
  try {
    return Uint8Array.fromBase64(text, { alphabet, lastChunkHandling: "strict" });
  } catch {
    throw invalid();
  }
}

function invalid(): Error {
  return remoteError("base64_invalid", "not strict base64");
}
