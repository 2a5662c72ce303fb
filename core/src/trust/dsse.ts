// DSSE v1 envelopes (https://github.com/secure-systems-lab/dsse, protocol.md): bytes of a stated type
// with one or more Ed25519 signatures. Which key may sign what is for the caller to decide, from the
// keys that `openEnvelope` names. Invariant: the bytes that were verified are the bytes handed out.
import { ShoalError, remoteError } from "../error.ts";
import { envelopeBytesMax, envelopeSignaturesMax } from "../limits.ts";
import { decodeBase64, encodeBase64 } from "./base64.ts";
import { type SigningKey, verifySignature } from "./keys.ts";

export interface EnvelopeSignature {
  readonly keyid: string;
  /** Base64. */
  readonly sig: string;
}

export interface Envelope {
  readonly payloadType: string;
  /** Base64. */
  readonly payload: string;
  readonly signatures: readonly EnvelopeSignature[];
}

/** What an envelope says once at least one signature under it was verified. */
export interface OpenedEnvelope<Key> {
  readonly payload: Uint8Array;
  /** Every key whose signature was verified: at least one. Others are ignored. */
  readonly keys: readonly Key[];
}

/** Signs with every key given: one for each role that a reader may trust. */
export function signEnvelope(
  payloadType: string,
  payload: Uint8Array,
  keys: readonly SigningKey[],
): Envelope {
  const body = encodeBase64(payload);
  if (body.length > envelopeBytesMax || keys.length < 1 || keys.length > envelopeSignaturesMax) {
    throw new ShoalError("envelope_invalid", "an envelope that every reader would refuse", {
      blame: "local",
      details: { payloadBytes: payload.length, keys: keys.length },
    });
  }
  const signed = preAuthEncoding(payloadType, payload);
  const signatures = keys.map((key) => ({ keyid: key.keyId, sig: encodeBase64(key.sign(signed)) }));
  return { payloadType, payload: body, signatures };
}

/**
 * Verifies an envelope. Throws `envelope_invalid` (malformed, too large, another type),
 * `signature_key_unknown` (no signature names a known key) or `signature_invalid`.
 */
export function openEnvelope<Key extends { readonly publicKey: Uint8Array }>(
  envelope: Envelope,
  payloadType: string,
  keyLookup: (keyId: string) => Key | undefined,
): OpenedEnvelope<Key> {
  const { payload, signatures } = decodeEnvelope(envelope, payloadType);
  const signed = preAuthEncoding(payloadType, payload);
  const keys = new Map<string, Key>();
  let known = 0;
  for (const { keyid, sig } of signatures) {
    const key = keyLookup(keyid);
    if (key === undefined) continue;
    known += 1;
    if (verifySignature(key.publicKey, signed, sig)) keys.set(keyid, key);
  }
  if (known === 0) throw remoteError("signature_key_unknown", "signed by no key that is known");
  if (keys.size === 0) throw remoteError("signature_invalid", "the signature is wrong");
  return { payload, keys: [...keys.values()] };
}

/** `"DSSEv1" SP len(type) SP type SP len(body) SP body`, lengths in bytes as decimal digits. */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const encoder = new TextEncoder();
  const type = encoder.encode(payloadType);
  const head = encoder.encode(`DSSEv1 ${type.length} ${payloadType} ${payload.length} `);
  const bytes = new Uint8Array(head.length + payload.length);
  bytes.set(head);
  bytes.set(payload, head.length);
  return bytes;
}

interface DecodedEnvelope {
  readonly payload: Uint8Array;
  readonly signatures: readonly { readonly keyid: string; readonly sig: Uint8Array }[];
}

/** Checks the shape again although the type promises it: envelopes come from disks and wires. */
function decodeEnvelope(envelope: Envelope, payloadType: string): DecodedEnvelope {
  const { payloadType: type, payload, signatures } = envelope;
  if (typeof type !== "string" || typeof payload !== "string" || !Array.isArray(signatures)) {
    throw remoteError("envelope_invalid", "not an envelope");
  }
  if (type !== payloadType) {
    throw remoteError("envelope_invalid", `an envelope of ${payloadType} was expected`);
  }
  if (payload.length > envelopeBytesMax) throw remoteError("envelope_invalid", "too large");
  if (signatures.length < 1 || signatures.length > envelopeSignaturesMax) {
    throw remoteError("envelope_invalid", `1 to ${envelopeSignaturesMax} signatures were expected`);
  }
  try {
    return { payload: decodeBase64(payload), signatures: signatures.map(decodeSignature) };
  } catch {
    throw remoteError("envelope_invalid", "a field isn't strict base64");
  }
}

function decodeSignature(signature: EnvelopeSignature): {
  readonly keyid: string;
  readonly sig: Uint8Array;
} {
  return { keyid: signature.keyid, sig: decodeBase64(signature.sig) };
}
