// Manifests as bytes: DAG-CBOR, version 1 (PROTOCOL.md 2.2). Strict both ways: a manifest that
// breaks a rule is neither written nor read, and there is exactly one encoding of each, so the CID
// of its bytes names its meaning. Signatures are elsewhere.
import { decodeCbor, encodeCbor } from "../cbor.ts";
import { cidOf } from "../cid.ts";
import { digestBytes } from "../digest.ts";
import { ShoalError, type Blame } from "../error.ts";
import type { ArtifactCid } from "../ids.ts";
import {
  artifactBytesMax,
  artifactEntriesMax,
  chunkBytesMax,
  manifestBytesMax,
} from "../limits.ts";
import type { Manifest, ManifestEntry } from "./manifest.ts";
import { entriesProblem, quote } from "./path-safety.ts";

const format = "shoal.manifest";
const version = 1;
const keys = "bytes,entries,format,hashes,kind,sizes,version";
const modeMax = 0o777;

/** Throws `manifest_invalid` when the manifest breaks a rule or is too large when encoded. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const problem = manifestProblem(manifest);
  if (problem !== undefined) throw invalid(problem, "local");
  const bytes = encodeCbor({
    format,
    version,
    kind: manifest.kind,
    bytes: manifest.bytes,
    entries: manifest.entries.map(packEntry),
    hashes: manifest.chunkHashes,
    sizes: packSizes(manifest.chunkBytes),
  });
  if (bytes.length > manifestBytesMax) throw invalid("larger than manifestBytesMax", "local");
  return bytes;
}

/** Decodes what anybody may have sent. Throws `manifest_invalid` and nothing else. */
export function decodeManifest(bytes: Uint8Array): Manifest {
  let value: unknown;
  try {
    value = decodeCbor(bytes, {
      bytesMax: manifestBytesMax,
      depthMax: 3,
      // An entry is an array of at most four items; the map has seven keys and values.
      itemsMax: 5 * artifactEntriesMax + 15,
    });
  } catch (cause) {
    throw invalid(cause instanceof Error ? cause.message : String(cause), "remote");
  }
  const manifest = unpack(value);
  if (typeof manifest === "string") throw invalid(manifest, "remote");
  const problem = manifestProblem(manifest);
  if (problem !== undefined) throw invalid(problem, "remote");
  return manifest;
}

/** The CID that names the artifact whose encoded manifest this is. */
export function manifestCid(bytes: Uint8Array): ArtifactCid {
  return cidOf(bytes);
}

/** What is wrong with a manifest, or undefined. */
export function manifestProblem(manifest: Manifest): string | undefined {
  const { entries, chunkHashes, chunkBytes } = manifest;
  if (entries.length > artifactEntriesMax) return `more than ${artifactEntriesMax} entries`;
  if (!isSize(manifest.bytes, artifactBytesMax)) return "bytes isn't an allowed size";
  let fileBytes = 0;
  for (const entry of entries) {
    if (entry.type !== "link" && !isSize(entry.mode, modeMax)) {
      return `mode of ${quote(entry.path)} has bits outside 0o777`;
    }
    if (entry.type !== "file") continue;
    if (!isSize(entry.bytes, artifactBytesMax)) return `size of ${quote(entry.path)} isn't allowed`;
    fileBytes += entry.bytes;
  }
  if (fileBytes !== manifest.bytes) return "file sizes don't add up to bytes";
  const sizesProblem = chunksProblem(chunkHashes, chunkBytes, manifest.bytes);
  if (sizesProblem !== undefined) return sizesProblem;
  if (manifest.kind === "file" && !isSingleFile(entries)) {
    return "an artifact of kind file isn't one file without a folder";
  }
  return entriesProblem(entries);
}

function chunksProblem(hashes: Uint8Array, sizes: Uint32Array, bytes: number): string | undefined {
  if (hashes.length !== sizes.length * digestBytes) return "hashes and sizes differ in number";
  let sum = 0;
  for (const size of sizes) {
    if (size < 1 || size > chunkBytesMax) return "a chunk size isn't allowed";
    sum += size;
  }
  return sum === bytes ? undefined : "chunk sizes don't add up to bytes";
}

/** The manifest with every field of the right type, or what is wrong; rules come afterwards. */
function unpack(value: unknown): Manifest | string {
  if (!isMap(value)) return "not a map";
  if (Object.keys(value).toSorted().join() !== keys) return "unknown or missing keys";
  if (value["format"] !== format) return "not a manifest";
  if (value["version"] !== version) return "a version that isn't known";
  const { kind, bytes, entries: rows, hashes, sizes } = value;
  if (kind !== "file" && kind !== "tree") return "a kind that isn't known";
  if (typeof bytes !== "number") return "bytes isn't a number";
  if (!(hashes instanceof Uint8Array) || !(sizes instanceof Uint8Array))
    return "hashes or sizes aren't bytes";
  if (sizes.length % 4 !== 0) return "sizes isn't a list of uint32";
  if (!Array.isArray(rows)) return "entries isn't a list";
  const entries: ManifestEntry[] = [];
  for (const row of rows) {
    const entry = unpackEntry(row);
    if (entry === undefined) return "an entry of a form that isn't known";
    entries.push(entry);
  }
  return {
    kind,
    entries,
    bytes,
    chunkHashes: new Uint8Array(hashes),
    chunkBytes: unpackSizes(sizes),
  };
}

function unpackEntry(row: unknown): ManifestEntry | undefined {
  if (!Array.isArray(row)) return undefined;
  const [letter, path, third, fourth]: readonly unknown[] = row;
  if (typeof path !== "string") return undefined;
  if (letter === "l") {
    if (row.length !== 3 || typeof third !== "string") return undefined;
    return { type: "link", path, target: third };
  }
  if (typeof third !== "number") return undefined;
  if (letter === "d" && row.length === 3) return { type: "directory", path, mode: third };
  if (letter !== "f" || row.length !== 4 || typeof fourth !== "number") return undefined;
  return { type: "file", path, mode: third, bytes: fourth };
}

function packEntry(entry: ManifestEntry): readonly unknown[] {
  switch (entry.type) {
    case "file":
      return ["f", entry.path, entry.mode, entry.bytes];
    case "directory":
      return ["d", entry.path, entry.mode];
    case "link":
      return ["l", entry.path, entry.target];
  }
}

function packSizes(sizes: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(sizes.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [index, size] of sizes.entries()) view.setUint32(index * 4, size, true);
  return bytes;
}

function unpackSizes(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sizes = new Uint32Array(bytes.length / 4);
  for (let index = 0; index < sizes.length; index += 1)
    sizes[index] = view.getUint32(index * 4, true);
  return sizes;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array)
  );
}

function isSize(value: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= max;
}

function isSingleFile(entries: readonly ManifestEntry[]): boolean {
  const [entry] = entries;
  return entries.length === 1 && entry?.type === "file" && !entry.path.includes("/");
}

function invalid(message: string, blame: Blame): ShoalError {
  return new ShoalError("manifest_invalid", `manifest refused: ${message}`, { blame });
}
