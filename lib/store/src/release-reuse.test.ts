import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import type { Manifest } from "@shoal/core/content/manifest";
import { digest } from "@shoal/core/digest";
import type { ReleaseFiles } from "./release-files.ts";
import { useReleases } from "./release.test-kit.ts";
import { planReuse } from "./release-reuse.ts";
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

class Told {
  readonly #reused: number[] = [];
  readonly #failed: number[] = [];

  reused(firstChunk: number, runCount: number): void {
    for (let at = 0; at < runCount; at += 1) this.#reused.push(firstChunk + at);
  }

  reuseFailed(firstChunk: number, runCount: number): void {
    for (let at = 0; at < runCount; at += 1) this.#failed.push(firstChunk + at);
  }

  chunks(): { readonly reused: number[]; readonly failed: number[] } {
    const inOrder = (a: number, b: number): number => a - b;
    return { reused: this.#reused.toSorted(inOrder), failed: this.#failed.toSorted(inOrder) };
  }
}

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
    const reuse = await planReuse(files, [join(base, "nothing"), `${dir}-old`]);
    // All but what is new: what was changed shows when it is copied.
    expect([...reuse.promised]).toEqual([0b1111_1101]);
    const told = new Told();
    await reuse.copy(told);
    expect([...files.missingChunks()]).toEqual([1, 3]);
    expect([reuse.chunksCount, reuse.bytes]).toEqual([6, files.heldBytes]);
    expect(told.chunks()).toEqual({ reused: [0, 2, 4, 5, 6, 7], failed: [3] });
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
    const reuse = await planReuse(files, [`${dir}-other`]);
    const told = new Told();
    await reuse.copy(told);
    expect([reuse.chunksCount, reuse.bytes]).toEqual([1, 649]);
    expect(told.chunks()).toMatchObject({ reused: [4], failed: [0, 1, 2, 3, 5] });
  });

  test("stops when told to", async () => {
    const artifact = typicalArtifact();
    await sealed(artifact, `${dir}-old`);
    const files = await open(dir, artifact.manifest);
    await expect(planReuse(files, [`${dir}-old`], AbortSignal.abort())).rejects.toThrow("abort");
    const reuse = await planReuse(files, [`${dir}-old`]);
    await expect(reuse.copy(undefined, AbortSignal.abort())).rejects.toThrow("abort");
    expect(files.heldCount).toBe(0);
  });

  test("what is wrong in one release is taken from the next", async () => {
    const artifact = typicalArtifact();
    // Says that it has all, and has nothing.
    const empty = await open(`${dir}-empty`, artifact.manifest);
    await empty.close();
    const half = await open(`${dir}-half`, artifact.manifest);
    await half.write(2, artifact.chunks[2] as Uint8Array);
    await half.write(4, artifact.chunks[4] as Uint8Array);
    await half.close();
    const files = await open(dir, artifact.manifest);
    const reuse = await planReuse(files, [`${dir}-empty`, `${dir}-half`]);
    const told = new Told();
    await reuse.copy(told);
    expect(told.chunks().failed).toEqual([...files.missingChunks()]);
    expect(told.chunks().reused).toEqual([2, 4]);
  });
});
