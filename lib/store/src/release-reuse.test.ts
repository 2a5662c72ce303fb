import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import type { Manifest } from "@shoal/core/content/manifest";
import { digest } from "@shoal/core/digest";
import type { ReleaseFiles } from "./release-files.ts";
import { useReleases } from "./release.test-kit.ts";
import { reuseFrom } from "./release-reuse.ts";
import { typicalArtifact, type Artifact } from "./sample-artifact.ts";

const { base, open, sealed: sealedAt } = useReleases();
let count = 0;
let dir: string;
beforeEach(() => {
  count += 1;
  dir = join(base, `${count}`, "release");
});

const sealed = (artifact: Artifact, at: string = dir): Promise<ReleaseFiles> =>
  sealedAt(at, artifact);

describe("reuse", () => {
  test("takes every chunk that lies in another release, wherever, and nothing that is wrong", async () => {
    const old = typicalArtifact(1);
    const [a, b, c, d, e, f] = old.chunks as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    const oldFiles = await sealed(old, `${dir}-old`);
    await oldFiles.close();
    // One chunk of the old release was changed by its program.
    const app = join(oldFiles.treePath, "bin/app");
    chmodSync(app, 0o600);
    const bytes = readFileSync(app);
    bytes[10] = (bytes[10] as number) ^ 1;
    writeFileSync(app, bytes);
    const fresh = Uint8Array.from({ length: 400 }, (_, index) => index & 255);
    const parts = [e, fresh, b, a, c, b, d, f];
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const manifest: Manifest = {
      kind: "tree",
      entries: [{ type: "file", path: "one", mode: 0o644, bytes: length }],
      bytes: length,
      chunkHashes: Uint8Array.from(parts.flatMap((part) => [...digest(part)])),
      chunkBytes: Uint32Array.from(parts.map((part) => part.length)),
    };
    const files = await open(dir, manifest);
    const reused = await reuseFrom(files, [join(base, "nothing"), `${dir}-old`, dir]);
    expect([...files.missingChunks()]).toEqual([1, 3]);
    expect(reused).toEqual({ chunksCount: 6, bytes: files.heldBytes });
    await files.write(1, fresh);
    await files.write(3, a);
    await files.seal();
    expect(await files.verify()).toEqual({ problems: [], wrongChunks: [] });
  });

  test("of a release that is still being fetched takes what is there", async () => {
    const artifact = typicalArtifact();
    const other = await open(`${dir}-other`, artifact.manifest);
    await other.write(4, artifact.chunks[4] as Uint8Array);
    const files = await open(dir, artifact.manifest);
    expect(await reuseFrom(files, [`${dir}-other`])).toEqual({ chunksCount: 1, bytes: 649 });
  });

  test("stops when told to", async () => {
    const artifact = typicalArtifact();
    await sealed(artifact, `${dir}-old`);
    const files = await open(dir, artifact.manifest);
    await expect(reuseFrom(files, [`${dir}-old`], AbortSignal.abort())).rejects.toThrow("abort");
  });
});
