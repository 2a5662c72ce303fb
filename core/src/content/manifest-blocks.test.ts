import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { encodeCbor } from "../cbor.ts";
import { cidOf } from "../cid.ts";
import { digest } from "../digest.ts";
import { ShoalError } from "../error.ts";
import { isArtifactCid } from "../ids.ts";
import { manifestBlockBytes, manifestBytesMax, manifestWholeBytesMax } from "../limits.ts";
import { Prng } from "../prng.ts";
import { blockAt, blocksOf, decodeBlocks, isInBlocks } from "./manifest-blocks.ts";
import { chunkHashOf } from "./manifest.ts";

const goldenFolder = new URL("../../../test/fixtures/blocks/v1/", import.meta.url);

/** Bytes of no meaning: nothing here reads a manifest. */
function bytesOf(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 1) bytes[at] = Math.imul(at, 0x9e3779b1) >>> 24;
  return bytes;
}

describe("blocks of a manifest", () => {
  test("are its bytes, and each has the hash that the list says", () => {
    for (const more of [1, manifestBlockBytes - 1, manifestBlockBytes, manifestBlockBytes + 1]) {
      const manifest = bytesOf(manifestWholeBytesMax + more);
      const blocks = decodeBlocks(blocksOf(manifest).encoded);
      const parts = [...blocks.chunkBytes].map((length, block) => {
        const part = blockAt(manifest, block, 1);
        expect(part).toHaveLength(length);
        expect(digest(part)).toEqual(chunkHashOf(blocks, block));
        return part;
      });
      expect(Buffer.concat(parts).equals(manifest)).toBe(true);
      expect(blocks.bytes).toBe(manifest.length);
    }
  });

  test("have a name that no artifact has, and that another list hasn't", () => {
    const manifest = bytesOf(manifestWholeBytesMax + 5);
    const { name, encoded } = blocksOf(manifest);
    expect(isArtifactCid(name)).toBe(true);
    expect([cidOf(manifest), cidOf(encoded)]).not.toContain(name);
    manifest[7] = 0xee;
    expect(blocksOf(manifest).name).not.toBe(name);
  });

  test("the golden list opens, and is written the same", () => {
    const file = (end: string): URL => new URL(`list.${end}`, goldenFolder);
    const blocks = blocksOf(bytesOf(manifestWholeBytesMax + 1000));
    expect(new Uint8Array(readFileSync(file("cbor")))).toEqual(blocks.encoded);
    expect(readFileSync(file("cid"), "utf8")).toBe(`${blocks.name}\n`);
  });

  test("only a long manifest has them", () => {
    expect(isInBlocks(manifestWholeBytesMax)).toBe(false);
    expect(isInBlocks(manifestWholeBytesMax + 1)).toBe(true);
  });
});

describe("a list is refused", () => {
  const bytes = manifestWholeBytesMax + 1;
  const hashes = new Uint8Array(32 * Math.ceil(bytes / manifestBlockBytes));
  const good = { format: "shoal.blocks", version: 1, bytes, hashes };

  test.for([
    ["of another format", { ...good, format: "shoal.manifest" }],
    ["of another version", { ...good, version: 2 }],
    ["with a key more", { ...good, more: 1 }],
    ["with a key less", { format: good.format, version: 1, bytes }],
    ["of a short manifest", { ...good, bytes: 10, hashes: hashes.subarray(0, 32) }],
    ["of a manifest beyond the limit", { ...good, bytes: manifestBytesMax + 1 }],
    ["with a hash too few", { ...good, hashes: hashes.subarray(32) }],
    ["with part of a hash", { ...good, hashes: hashes.subarray(1) }],
    ["with hashes as text", { ...good, hashes: "0" }],
    ["with half a byte", { ...good, bytes: bytes + 0.5 }],
    ["that is none", ["shoal.blocks", 1]],
  ] as const)("%s", ([, value]) => {
    expect(codeOf(encodeCbor(value))).toBe("manifest_blocks_invalid");
  });

  test("for bytes that are no canonical CBOR", () => {
    const encoded = encodeCbor(good);
    expect(codeOf(encoded)).toBe("");
    expect(codeOf(encoded.subarray(1))).toBe("manifest_blocks_invalid");
    expect(codeOf(Uint8Array.from([...encoded, 0]))).toBe("manifest_blocks_invalid");
  });

  test("or has another name, whatever bit is flipped", () => {
    const { encoded, name } = blocksOf(bytesOf(bytes));
    const prng = new Prng(1);
    const names = Array.from({ length: 500 }, () => {
      const flipped = encoded.slice();
      const at = prng.below(flipped.length);
      flipped[at] = (flipped[at] as number) ^ (1 << prng.below(8));
      return codeOf(flipped) === "" ? decodeBlocks(flipped).name : "";
    });
    expect(names).not.toContain(name);
  });
});

/** Of the error that decoding throws; empty when it throws none. */
function codeOf(encoded: Uint8Array): string {
  try {
    decodeBlocks(encoded);
    return "";
  } catch (error) {
    if (error instanceof ShoalError) return error.code;
    throw error;
  }
}
