import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toHex } from "./digest.ts";
import { isPeerId } from "./ids.ts";
import { encodeBase58 } from "./multibase.ts";
import { peerIdOf, publicKeyOf } from "./peer-id.ts";

/** The key of libp2p's peer id specification and of RFC 8032's test 1, with the ids libp2p 3.3 gives them. */
const vectors = [
  [
    "1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e",
    "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq",
  ],
  [
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV",
  ],
] as const;

describe("peer ids", () => {
  test.for(vectors)("of key %s are what libp2p says", ([publicKey, peerId]) => {
    expect(peerIdOf(Uint8Array.fromHex(publicKey))).toBe(peerId);
    expect(toHex(publicKeyOf(peerId))).toBe(publicKey);
  });

  test("of any key pass the check of their shape and give the key back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (publicKey) => {
        const peerId = peerIdOf(publicKey);
        expect(isPeerId(peerId)).toBe(true);
        expect([...publicKeyOf(peerId)]).toEqual([...publicKey]);
      }),
    );
  });

  const right = vectors[0][1];
  const secp256k1 = Uint8Array.of(0x00, 0x25, 0x08, 0x02, 0x12, 0x21, ...Array<number>(33).fill(7));
  test.for([
    ["nothing", ""],
    ["a hash of a key", "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"],
    ["a key of another kind", encodeBase58(secp256k1)],
    ["a character short", right.slice(0, -1)],
    ["a character more", `${right}1`],
    ["a character outside the alphabet", right.replace("t", "0")],
    ["a number too large for its length", `12D3KooW${"z".repeat(44)}`],
    ["a leading one, which is a zero byte", `1${right}`],
  ] as const)("refuse %s", ([, text]) => {
    expect(() => publicKeyOf(text)).toThrow(expect.objectContaining({ code: "peer_id_invalid" }));
  });
});
