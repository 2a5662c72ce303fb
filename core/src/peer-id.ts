// Peer ids of Ed25519 keys, as libp2p spells them: base58btc of an identity multihash around the
// protobuf-encoded public key (https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md).
// One key has one spelling, so peer ids can be compared as texts.
import { digestEquals } from "./digest.ts";
import { assert, remoteError } from "./error.ts";
import { type PeerId, isPeerId } from "./ids.ts";
import { decodeBase58, encodeBase58 } from "./multibase.ts";
import { publicKeyBytes } from "./trust/keys.ts";

/** Identity multihash of 36 bytes; protobuf field 1 (key type) is 1, Ed25519; field 2 has 32 bytes. */
const prefix = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20);

/** The peer id of a raw 32-byte Ed25519 public key. */
export function peerIdOf(publicKey: Uint8Array): PeerId {
  assert(publicKey.length === publicKeyBytes, "an Ed25519 public key has 32 bytes");
  const bytes = new Uint8Array(prefix.length + publicKeyBytes);
  bytes.set(prefix);
  bytes.set(publicKey, prefix.length);
  return encodeBase58(bytes);
}

/** The raw public key in a peer id. Throws `peer_id_invalid` for any other kind or spelling. */
export function publicKeyOf(peerId: PeerId): Uint8Array {
  if (!isPeerId(peerId)) throw remoteError("peer_id_invalid", "not an Ed25519 peer id");
  const bytes = decodeBase58(peerId);
  const rightPrefix = digestEquals(bytes.subarray(0, prefix.length), prefix);
  if (bytes.length !== prefix.length + publicKeyBytes || !rightPrefix) {
    throw remoteError("peer_id_invalid", "not an Ed25519 peer id");
  }
  return bytes.slice(prefix.length);
}
