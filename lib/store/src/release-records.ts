// The two records that a release folder keeps beside its tree, both written durably and read
// strictly. Damage to one costs time only: what they say is checked against hashes.
//
// progress  which chunks are in their files, written after those were synced. Names the boot in which
//           it was written: after a crash of the machine what it says is hashed again.
// sealed    the tree is whole; how each file looked then, so that a later change is noticed.
import type { BigIntStats } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { decodeCbor, encodeCbor } from "@shoal/core/cbor";
import { decodeManifest } from "@shoal/core/content/manifest-codec";
import type { Manifest } from "@shoal/core/content/manifest";
import { digestBytes, digestEquals } from "@shoal/core/digest";
import { ShoalError } from "@shoal/core/error";
import { artifactEntriesMax, manifestBytesMax } from "@shoal/core/limits";
import { errorCode, writeDurably } from "./durable-file.ts";

export const manifestName = "manifest";
export const progressName = "progress";
export const sealedName = "sealed";
export const treeName = "tree";
/** A file that is being cloned; left by a crash, it is removed before the next one. */
export const cloneName = "clone";

/** Bytes that say how a file looked: size, mtime, ctime (both in ns) and inode, uint64 each. */
export const fileMarkBytes = 32;

export interface Progress {
  /** The chunks that are in place, bit i of byte i >> 3. */
  readonly held: Uint8Array;
  /** Whether everything is as it says: it was closed properly, or the machine hasn't restarted since. */
  readonly isTrusted: boolean;
}

const limits = { bytesMax: artifactEntriesMax * fileMarkBytes + 4096, depthMax: 2, itemsMax: 32 };

export async function writeProgress(
  dir: string,
  manifestHash: Uint8Array,
  facts: { readonly held: Uint8Array; readonly bootId: string; readonly isClosed: boolean },
): Promise<void> {
  const record = { format: "shoal.progress", version: 1, manifest: manifestHash, ...facts };
  await writeDurably(join(dir, progressName), [encodeCbor(record)]);
}

/** Undefined when there is none, or none of this manifest that can be read. */
export async function readProgress(
  dir: string,
  manifestHash: Uint8Array,
  bootId: string,
): Promise<Progress | undefined> {
  const bytes = await readLimited(join(dir, progressName), limits.bytesMax);
  return bytes === undefined ? undefined : decodeProgress(bytes, manifestHash, bootId);
}

/** Undefined when it isn't a record of progress with this manifest. */
export function decodeProgress(
  bytes: Uint8Array,
  manifestHash: Uint8Array,
  bootId: string,
): Progress | undefined {
  const record = decodeRecord(bytes, "shoal.progress", manifestHash);
  const held = record?.["held"];
  if (!(held instanceof Uint8Array)) return undefined;
  const isTrusted =
    record?.["isClosed"] === true || (bootId !== "" && record?.["bootId"] === bootId);
  return { held: held.slice(), isTrusted };
}

export async function writeSealed(
  dir: string,
  manifestHash: Uint8Array,
  marks: Uint8Array,
): Promise<void> {
  const record = { format: "shoal.sealed", version: 1, manifest: manifestHash, marks };
  await writeDurably(join(dir, sealedName), [encodeCbor(record)]);
}

/** The marks of the files at the time of sealing, or undefined when the release isn't sealed. */
export async function readSealed(
  dir: string,
  manifestHash: Uint8Array,
  filesCount: number,
): Promise<Uint8Array | undefined> {
  const bytes = await readLimited(join(dir, sealedName), limits.bytesMax);
  return bytes === undefined ? undefined : decodeSealed(bytes, manifestHash, filesCount);
}

/** Undefined when it isn't a record of so many sealed files with this manifest. */
export function decodeSealed(
  bytes: Uint8Array,
  manifestHash: Uint8Array,
  filesCount: number,
): Uint8Array | undefined {
  const record = decodeRecord(bytes, "shoal.sealed", manifestHash);
  const marks = record?.["marks"];
  return marks instanceof Uint8Array && marks.length === filesCount * fileMarkBytes
    ? marks.slice()
    : undefined;
}

/** The manifest of a release folder with its encoded bytes, or undefined when it has none that can be read. */
export async function readReleaseManifest(
  dir: string,
): Promise<{ readonly manifest: Manifest; readonly encoded: Uint8Array } | undefined> {
  const encoded = await readLimited(join(dir, manifestName), manifestBytesMax);
  if (encoded === undefined) return undefined;
  try {
    return { manifest: decodeManifest(encoded), encoded };
  } catch (error) {
    if (error instanceof ShoalError) return undefined;
    throw error;
  }
}

/** How a file looks, to be compared byte by byte later. */
export function markOf(found: BigIntStats): Uint8Array {
  const mark = new Uint8Array(fileMarkBytes);
  const view = new DataView(mark.buffer);
  for (const [index, value] of [found.size, found.mtimeNs, found.ctimeNs, found.ino].entries()) {
    view.setBigUint64(index * 8, BigInt.asUintN(64, value));
  }
  return mark;
}

function decodeRecord(
  bytes: Uint8Array,
  format: string,
  manifestHash: Uint8Array,
): Readonly<Record<string, unknown>> | undefined {
  let value: unknown;
  try {
    value = decodeCbor(bytes, limits);
  } catch (error) {
    if (error instanceof ShoalError) return undefined;
    throw error;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const record: Readonly<Record<string, unknown>> = { ...value };
  const { manifest } = record as { readonly manifest?: unknown };
  if (record["format"] !== format || record["version"] !== 1) return undefined;
  if (!(manifest instanceof Uint8Array) || manifest.length !== digestBytes) return undefined;
  return digestEquals(manifest, manifestHash) ? record : undefined;
}

async function readLimited(path: string, bytesMax: number): Promise<Uint8Array | undefined> {
  try {
    const found = await stat(path);
    if (!found.isFile() || found.size > bytesMax) return undefined;
    return new Uint8Array(await readFile(path));
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return undefined;
    throw error;
  }
}
