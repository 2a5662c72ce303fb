// What `shoal artifact inspect|diff|verify` do: what is in an artifact, what would move from one to another, and
// whether a folder is what a manifest says. All of it local: an artifact is given as a manifest file, a
// release's folder on a host, or the file or folder itself, which is then read and cut as a builder does.
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { decodeManifest, encodeManifest, manifestCid } from "@shoal/core/content/manifest-codec";
import type { Manifest } from "@shoal/core/content/manifest";
import { derivePieces } from "@shoal/core/content/pieces";
import { manifestBytesMax } from "@shoal/core/limits";
import { ShoalError } from "@shoal/core/error";
import { openContentPool } from "@shoal/store/content-pool";
import { diffManifests, type ManifestDiff } from "@shoal/store/manifest-diff";
import { readReleaseManifest, treeName } from "@shoal/store/release-records";
import { checkAgainst, type TreeCheck } from "@shoal/store/tree-check";
import { readTree } from "@shoal/store/tree-reader";
import { scanTree } from "@shoal/store/tree-scan";
import { exitCodes } from "../exit-codes.ts";
import { formatBytes } from "../units.ts";
import { printAnswer } from "./print.ts";

/** Of every command here. */
export interface ArtifactOptions {
  readonly json?: boolean;
}

/** Lines of a list that a person gets; `--json` has all. */
const linesMax = 20;

export async function inspectArtifact(path: string, options: ArtifactOptions): Promise<void> {
  printAnswer(inspected(await loadManifest(path)), options.json === true, describeArtifact);
}

export async function diffArtifacts(
  older: string,
  newer: string,
  options: ArtifactOptions,
): Promise<void> {
  const diff = diffManifests(await loadManifest(older), await loadManifest(newer));
  printAnswer(diff, options.json === true, describeDiff);
}

/** Sets the exit status when something is wrong. */
export async function verifyArtifact(
  path: string,
  folder: string | undefined,
  options: ArtifactOptions,
): Promise<void> {
  const manifest = await storedManifest(path);
  if (manifest === undefined) throw unreadable(path);
  const check = await checkAgainst(folder ?? join(path, treeName), manifest);
  printAnswer(check, options.json === true, describeCheck);
  if (check.problems.length > 0) process.exitCode = exitCodes.failed;
}

interface Inspected {
  readonly artifact: string;
  readonly kind: Manifest["kind"];
  readonly bytes: number;
  readonly manifestBytes: number;
  readonly chunks: number;
  readonly pieces: number;
  readonly files: number;
  readonly directories: number;
  readonly links: number;
  readonly largest: readonly { readonly path: string; readonly bytes: number }[];
}

function inspected(manifest: Manifest): Inspected {
  const encoded = encodeManifest(manifest);
  const files = manifest.entries.filter((entry) => entry.type === "file");
  return {
    artifact: manifestCid(encoded),
    kind: manifest.kind,
    bytes: manifest.bytes,
    manifestBytes: encoded.length,
    chunks: manifest.chunkBytes.length,
    pieces: derivePieces(manifest).count,
    files: files.length,
    directories: manifest.entries.filter(({ type }) => type === "directory").length,
    links: manifest.entries.filter(({ type }) => type === "link").length,
    largest: files
      .toSorted((a, b) => b.bytes - a.bytes)
      .slice(0, linesMax)
      .map(({ path, bytes }) => ({ path, bytes })),
  };
}

function describeArtifact(found: Inspected): string {
  const lines = [
    `artifact  ${found.artifact} (a ${found.kind})`,
    `size      ${formatBytes(found.bytes)} in ${found.chunks} chunks and ${found.pieces} pieces`,
    `manifest  ${formatBytes(found.manifestBytes)}`,
    `entries   ${found.files} files, ${found.directories} folders, ${found.links} links`,
    "largest",
    ...found.largest.map(({ path, bytes }) => `  ${formatBytes(bytes).padStart(11)}  ${path}`),
  ];
  return lines.join("\n");
}

function describeDiff(diff: ManifestDiff): string {
  const list = (name: string, paths: readonly string[]): string[] =>
    paths.length === 0 ? [] : [`${name}  ${limited(paths)}`];
  return [
    `${formatBytes(diff.bytes)}, ${formatBytes(diff.movedBytes)} changed (${diff.movedChunks} chunks)`,
    ...list("added  ", diff.added),
    ...list("removed", diff.removed),
    ...(diff.changed.length === 0 ? [] : ["changed"]),
    ...diff.changed
      .slice(0, linesMax)
      .map(({ path, movedBytes }) => `  ${formatBytes(movedBytes).padStart(11)}  ${path}`),
    ...(diff.changed.length > linesMax ? [`  and ${diff.changed.length - linesMax} others`] : []),
  ].join("\n");
}

/** What is wrong, one line each; "nothing is wrong" otherwise. */
function describeCheck(check: TreeCheck): string {
  if (check.problems.length === 0) return "nothing is wrong";
  const lines = check.problems.slice(0, linesMax).map(({ path, problem }) => `${path} ${problem}`);
  const more = check.problems.length - lines.length;
  const { wrongChunks, wrongBytes } = check;
  return [
    ...lines,
    ...(more > 0 ? [`and ${more} others`] : []),
    `${wrongChunks.length} chunks of ${formatBytes(wrongBytes)} are wrong`,
  ].join("\n");
}

function limited(paths: readonly string[]): string {
  const more = paths.length - linesMax;
  const shown = paths.slice(0, linesMax).join(", ");
  return more > 0 ? `${shown} and ${more} others` : shown;
}

async function loadManifest(path: string): Promise<Manifest> {
  const stored = await storedManifest(path);
  if (stored !== undefined) return stored;
  const work = openContentPool();
  try {
    return await readTree(path, await scanTree(path), () => {}, { work });
  } finally {
    await work.close();
  }
}

/** The manifest that a file or a release folder holds, or undefined when it holds none. */
async function storedManifest(path: string): Promise<Manifest | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() === true) return (await readReleaseManifest(path))?.manifest;
  if (found?.isFile() !== true || found.size > manifestBytesMax) return undefined;
  try {
    return decodeManifest(new Uint8Array(await readFile(path)));
  } catch (error) {
    if (error instanceof ShoalError) return undefined;
    throw error;
  }
}

function unreadable(path: string): ShoalError {
  return new ShoalError("file_unreadable", `neither a manifest nor a release's folder: ${path}`, {
    blame: "local",
  });
}
