// Large manifests in blocks: a manifest of megabytes travels through the swarm like content, so that a
// region's hosts don't all take it from one place. The list of its blocks' hashes is small and comes
// from a seeder; the blocks come from anybody and are checked by it, and what they add up to is checked
// against the artifact's CID (PROTOCOL.md 2.5).
//
// The list is believed by nobody before that. So a swarm of blocks is named by the hash of its list:
// whoever was told a false one looks for a swarm that has no members, and takes nobody for a liar.
import { decodeCbor, encodeCbor } from "../cbor.ts";
import { rawCidOf } from "../cid.ts";
import { digest, digestBytes } from "../digest.ts";
import { remoteError, type ShoalError } from "../error.ts";
import type { ArtifactCid } from "../ids.ts";
import {
  manifestBlockBytes,
  manifestBlocksBytesMax,
  manifestBytesMax,
  manifestWholeBytesMax,
} from "../limits.ts";
import type { Bytes } from "../units.ts";
import type { ChunkList } from "./manifest.ts";

export interface ManifestBlocks extends ChunkList {
  /** Names the swarm in which the blocks travel. */
  readonly name: ArtifactCid;
  /** The list as it is sent. */
  readonly encoded: Uint8Array;
}

const format = "shoal.blocks";
const version = 1;
const keys = "bytes,format,hashes,version";

/** Whether a manifest of this length travels in blocks. */
export function isInBlocks(bytes: Bytes): boolean {
  return bytes > manifestWholeBytesMax;
}

/** The blocks of an encoded manifest. */
export function blocksOf(manifest: Uint8Array): ManifestBlocks {
  const count = Math.ceil(manifest.length / manifestBlockBytes);
  const hashes = new Uint8Array(count * digestBytes);
  for (let block = 0; block < count; block += 1) {
    hashes.set(digest(blockAt(manifest, block, 1)), block * digestBytes);
  }
  return listed(
    manifest.length,
    hashes,
    encodeCbor({ format, version, bytes: manifest.length, hashes }),
  );
}

/** The bytes of some blocks of an encoded manifest, in its own memory. */
export function blockAt(manifest: Uint8Array, first: number, count: number): Uint8Array {
  return manifest.subarray(first * manifestBlockBytes, (first + count) * manifestBlockBytes);
}

/** Decodes what a seeder sent. Throws `manifest_blocks_invalid` and nothing else. */
export function decodeBlocks(encoded: Uint8Array): ManifestBlocks {
  let value: unknown;
  try {
    const limits = { bytesMax: manifestBlocksBytesMax, depthMax: 1, itemsMax: 9 };
    value = decodeCbor(encoded, limits);
  } catch (cause) {
    throw invalid(cause instanceof Error ? cause.message : String(cause));
  }
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) {
    throw invalid("not a map");
  }
  const {
    format: itsFormat,
    version: itsVersion,
    bytes,
    hashes,
  } = value as Record<string, unknown>;
  if (Object.keys(value).toSorted().join() !== keys) throw invalid("unknown or missing keys");
  if (itsFormat !== format || itsVersion !== version) throw invalid("not a list of blocks");
  if (typeof bytes !== "number" || !Number.isSafeInteger(bytes))
    throw invalid("bytes isn't a size");
  if (!isInBlocks(bytes) || bytes > manifestBytesMax) throw invalid("bytes isn't an allowed size");
  if (!(hashes instanceof Uint8Array)) throw invalid("hashes aren't bytes");
  if (hashes.length !== Math.ceil(bytes / manifestBlockBytes) * digestBytes) {
    throw invalid("not a hash for each block");
  }
  return listed(bytes, hashes, encoded);
}

function listed(bytes: Bytes, chunkHashes: Uint8Array, encoded: Uint8Array): ManifestBlocks {
  const count = chunkHashes.length / digestBytes;
  const chunkBytes = new Uint32Array(count).fill(manifestBlockBytes);
  chunkBytes[count - 1] = bytes - (count - 1) * manifestBlockBytes;
  return { name: rawCidOf(encoded), encoded, bytes, chunkHashes, chunkBytes };
}

function invalid(message: string): ShoalError {
  return remoteError("manifest_blocks_invalid", `blocks of a manifest: ${message}`);
}
