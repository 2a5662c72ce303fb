// Names of artifacts: CIDv1, dag-cbor, BLAKE3-256, base32 (PROTOCOL.md 2.2). The only file that sees
// multiformats. A text that isn't exactly what `cidOf` would print is refused, so that two different
// strings never name one artifact.
import { CID } from "multiformats/cid";
import * as multihash from "multiformats/hashes/digest";
import { digest, digestBytes } from "./digest.ts";
import { remoteError } from "./error.ts";
import { isArtifactCid, type ArtifactCid } from "./ids.ts";

const dagCborCode = 0x71;
const rawCode = 0x55;
const blake3Code = 0x1e;
const sha256Code = 0x12;

/** The CID of an encoded manifest. */
export function cidOf(bytes: Uint8Array): ArtifactCid {
  return cidOfHash(digest(bytes));
}

/** The CID whose manifest has this BLAKE3-256 hash. */
export function cidOfHash(hash: Uint8Array): ArtifactCid {
  return CID.createV1(dagCborCode, multihash.create(blake3Code, hash)).toString();
}

/** The CID of bytes that aren't a manifest; in the shape of an artifact's, and never equal to one. */
export function rawCidOf(bytes: Uint8Array): ArtifactCid {
  return CID.createV1(rawCode, multihash.create(blake3Code, digest(bytes))).toString();
}

/** The 32-byte BLAKE3 hash in a CID. Throws `cid_invalid` for any other kind or spelling of CID. */
export function decodeCid(text: string): Uint8Array {
  if (!isArtifactCid(text)) throw remoteError("cid_invalid", "not an artifact CID");
  let cid: CID;
  try {
    cid = CID.parse(text);
  } catch (cause) {
    throw remoteError("cid_invalid", `not a CID: ${String(cause)}`);
  }
  const { code, digest: hash } = cid.multihash;
  if (cid.version !== 1 || cid.code !== dagCborCode || code !== blake3Code) {
    throw remoteError("cid_invalid", "not a version 1 CID of dag-cbor by BLAKE3");
  }
  if (hash.length !== digestBytes || cidOfHash(hash) !== text) {
    throw remoteError("cid_invalid", "not the one spelling of this CID");
  }
  return hash;
}

/**
 * What an artifact's provider records are filed under in the DHT: its hash, under the only multihash code
 * that the library takes for a key. It names nothing; peers show what they have by its CID.
 */
export function dhtKeyOf(cid: ArtifactCid): CID {
  return CID.createV0(multihash.create(sha256Code, decodeCid(cid)));
}
