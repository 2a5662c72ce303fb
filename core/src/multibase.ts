// base58btc as libp2p writes peer ids, without a multibase prefix: the only file that sees
// multiformats' bases. Decoding takes time by the square of the length, so the length is bounded.
import { base58btc } from "multiformats/bases/base58";
import { remoteError } from "./error.ts";

/** Longest text decoded: more than twice a peer id of any key kind of ours. */
const textCharsMax = 128;

export function encodeBase58(bytes: Uint8Array): string {
  return base58btc.baseEncode(bytes);
}

/** Throws `base58_invalid` for other alphabets and for texts over 128 characters. */
export function decodeBase58(text: string): Uint8Array {
  if (text.length > textCharsMax) throw remoteError("base58_invalid", "too long");
  try {
    return base58btc.baseDecode(text);
  } catch (cause) {
    throw remoteError("base58_invalid", cause instanceof Error ? cause.message : String(cause));
  }
}
