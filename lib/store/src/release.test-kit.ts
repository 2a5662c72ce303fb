// Release folders for tests: everything that a test file opened is closed, and its folder removed, when
// its tests have ended; also what a test left as a killed process would.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Manifest } from "@shoal/core/content/manifest";
import { afterAll } from "vitest";
import {
  openReleaseFiles,
  removeReleaseFiles,
  type ReleaseFiles,
  type ReleaseFilesConfig,
} from "./release-files.ts";
import type { Artifact } from "./sample-artifact.ts";

export interface Releases {
  /** The folder of all of them. */
  readonly base: string;
  readonly open: (
    dir: string,
    manifest: Manifest,
    config?: ReleaseFilesConfig,
  ) => Promise<ReleaseFiles>;
  /** Opened, filled and sealed. */
  readonly sealed: (dir: string, artifact: Artifact) => Promise<ReleaseFiles>;
}

/** To be called once, outside of the tests of a file. */
export function useReleases(): Releases {
  const base = mkdtempSync(join(tmpdir(), "shoal-release-"));
  const opened: ReleaseFiles[] = [];
  afterAll(async () => {
    for (const files of opened) await files.close().catch(() => undefined);
    await removeReleaseFiles(base);
  });
  const open: Releases["open"] = async (dir, manifest, config) => {
    const files = await openReleaseFiles(dir, manifest, config);
    opened.push(files);
    return files;
  };
  const sealed: Releases["sealed"] = async (dir, artifact) => {
    const files = await open(dir, artifact.manifest);
    await writeAll(files, artifact);
    await files.seal();
    return files;
  };
  return { base, open, sealed };
}

export async function writeAll(files: ReleaseFiles, artifact: Artifact): Promise<void> {
  await Promise.all(artifact.chunks.map((chunk, index) => files.write(index, chunk)));
}
