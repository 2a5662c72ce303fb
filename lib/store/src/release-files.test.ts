import {
  appendFileSync,
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { digestEquals } from "@shoal/core/digest";
import { removeReleaseFiles, type ReleaseFiles } from "./release-files.ts";
import { useReleases, writeAll } from "./release.test-kit.ts";
import { artifactOf, typicalArtifact, type Artifact } from "./sample-artifact.ts";

const { base, open, sealed: sealedAt } = useReleases();
let count = 0;
let dir: string;
beforeEach(() => {
  count += 1;
  dir = join(base, `${count}`, "release");
});

const sealed = (artifact: Artifact, at: string = dir): Promise<ReleaseFiles> =>
  sealedAt(at, artifact);

async function readRun(files: ReleaseFiles, first: number, count: number): Promise<Uint8Array[]> {
  const sizes = [...files.manifest.chunkBytes.subarray(first, first + count)];
  const bytes = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  await files.readRun(first, count, bytes);
  let start = 0;
  return sizes.map((size) => {
    start += size;
    return bytes.subarray(start - size, start);
  });
}

function modeOf(path: string): number {
  return lstatSync(path).mode & 0o7777;
}

describe("a release folder", () => {
  test("becomes the tree that the manifest describes, read-only", async () => {
    const artifact = typicalArtifact();
    const files = await sealed(artifact);
    const tree = files.treePath;
    const stream = Buffer.concat(artifact.chunks);
    expect(readFileSync(join(tree, "bin/app"))).toEqual(stream.subarray(0, 1000));
    expect(readFileSync(join(tree, "lib/x/data"))).toEqual(stream.subarray(1000, 1700));
    expect(readlinkSync(join(tree, "bin/old"))).toBe("../lib/x/data");
    expect(statSync(join(tree, "empty")).size).toBe(0);
    expect(modeOf(join(tree, "bin/app"))).toBe(0o555);
    expect(modeOf(join(tree, "lib/x/data"))).toBe(0o444);
    expect(modeOf(join(tree, "locked"))).toBe(0o500);
    expect(modeOf(join(tree, "locked/z"))).toBe(0o400);
    expect(modeOf(join(tree, "lib"))).toBe(0o555);
    expect(readdirSync(dir).toSorted()).toEqual(["manifest", "sealed", "tree"]);
    expect(await files.verify()).toEqual({ problems: [], wrongChunks: [] });
    await files.close();
  });

  test("has its files at full size from the start, and serves what it has before it is whole", async () => {
    const artifact = typicalArtifact();
    const files = await open(dir, artifact.manifest);
    expect(statSync(join(files.treePath, "bin/app")).size).toBe(1000);
    await files.write(2, artifact.chunks[2] as Uint8Array);
    await files.write(3, artifact.chunks[3] as Uint8Array);
    expect((await readRun(files, 2, 2)).map((chunk) => Buffer.from(chunk))).toEqual(
      artifact.chunks.slice(2, 4).map((chunk) => Buffer.from(chunk)),
    );
    expect(files.heldChunks()).toEqual(Uint8Array.of(0b1100));
    expect([files.heldCount, files.heldBytes, files.isComplete]).toEqual([2, 251, false]);
    await expect(readRun(files, 1, 2)).rejects.toMatchObject({ code: "chunk_withdrawn" });
    await expect(files.seal()).rejects.toMatchObject({ code: "release_incomplete" });
    expect(existsSync(join(files.treePath, "bin/old"))).toBe(false);
    await files.close();
  });

  test("goes on after a proper end, and after a kill with what was recorded", async () => {
    const artifact = typicalArtifact();
    const first = await open(dir, artifact.manifest);
    await first.write(0, artifact.chunks[0] as Uint8Array);
    await first.close();
    const second = await open(dir, artifact.manifest);
    expect([...second.missingChunks()]).toEqual([1, 2, 3, 4, 5]);
    await second.write(1, artifact.chunks[1] as Uint8Array);
    await second.checkpoint();
    await second.write(2, artifact.chunks[2] as Uint8Array);
    // Killed here: what came after the checkpoint is fetched again.
    const third = await open(dir, artifact.manifest);
    expect([...third.missingChunks()]).toEqual([2, 3, 4, 5]);
    await writeAll(third, artifact);
    await third.seal();
    const fourth = await open(dir, artifact.manifest);
    expect([fourth.isSealed, fourth.isComplete]).toEqual([true, true]);
    expect(await fourth.verify()).toEqual({ problems: [], wrongChunks: [] });
  });

  test("hashes what it claims after a crash of the machine", async () => {
    const artifact = typicalArtifact();
    const before = await open(dir, artifact.manifest, { bootId: "one" });
    await writeAll(before, artifact);
    await before.checkpoint();
    // What the disk said it had written, and hadn't.
    const app = join(before.treePath, "bin/app");
    const bytes = readFileSync(app);
    bytes.fill(0, 350, 360);
    writeFileSync(app, bytes);
    const same = await open(dir, artifact.manifest, { bootId: "one" });
    expect(same.heldCount).toBe(6);
    const after = await open(dir, artifact.manifest, { bootId: "two" });
    expect([...after.missingChunks()]).toEqual([1]);
    await writeAll(after, artifact);
    await after.close();
    expect((await open(dir, artifact.manifest, { bootId: "three" })).isComplete).toBe(true);
  });

  test("doesn't claim chunks of a file that is gone or has another size", async () => {
    const artifact = typicalArtifact();
    const before = await open(dir, artifact.manifest);
    await writeAll(before, artifact);
    await before.close();
    rmSync(join(before.treePath, "lib/x/data"));
    appendFileSync(join(before.treePath, "locked/z"), "more");
    const after = await open(dir, artifact.manifest);
    expect([...after.missingChunks()]).toEqual([2, 3, 4, 5]);
    await writeAll(after, artifact);
    await after.seal();
    expect(await after.verify()).toEqual({ problems: [], wrongChunks: [] });
  });

  test("records what was written until a checkpoint", async () => {
    const artifact = typicalArtifact();
    const before = await open(dir, artifact.manifest);
    for (const [index, chunk] of artifact.chunks.entries()) {
      if (index === 5) await before.checkpoint();
      await before.write(index, chunk);
    }
    const after = await open(dir, artifact.manifest);
    expect([...after.missingChunks()]).toEqual([5]);
  });

  test("refuses another artifact, and a chunk of another size", async () => {
    const files = await sealed(typicalArtifact(1));
    await expect(open(dir, typicalArtifact(2).manifest)).rejects.toMatchObject({
      code: "release_mismatch",
    });
    await expect(files.write(0, new Uint8Array(300))).rejects.toThrow(
      "a sealed release isn't written to",
    );
    const other = await open(`${dir}2`, typicalArtifact(2).manifest);
    await expect(other.write(0, new Uint8Array(299))).rejects.toThrow("a chunk has its size");
  });

  test("can be removed though it is read-only, from any state", async () => {
    const files = await sealed(typicalArtifact());
    await files.close();
    await removeReleaseFiles(dir);
    expect(existsSync(dir)).toBe(false);
    await open(dir, typicalArtifact().manifest);
    await removeReleaseFiles(dir);
    await removeReleaseFiles(dir);
    expect(existsSync(dir)).toBe(false);
  });

  test("of an empty tree and of a single file work, too", async () => {
    const empty = await sealed(artifactOf([], []));
    expect(await empty.verify()).toEqual({ problems: [], wrongChunks: [] });
    const single = artifactOf([{ type: "file", path: "app", mode: 0o755, bytes: 7 }], [7]);
    const files = await sealed(
      { ...single, manifest: { ...single.manifest, kind: "file" } },
      `${dir}2`,
    );
    expect(readFileSync(join(files.treePath, "app")).length).toBe(7);
  });
});

describe("hostile content of the folder", () => {
  test("a link in the place of a file or folder is replaced, not followed", async () => {
    const outside = join(base, `${count}`, "outside");
    mkdirSync(join(outside, "bin"), { recursive: true });
    writeFileSync(join(outside, "victim"), "untouched");
    mkdirSync(join(dir, "tree", "lib", "x"), { recursive: true });
    symlinkSync(join(outside, "bin"), join(dir, "tree", "bin"));
    symlinkSync(join(outside, "victim"), join(dir, "tree", "lib/x/data"));
    mkdirSync(join(dir, "tree", "empty"));
    const files = await sealed(typicalArtifact());
    expect(await files.verify()).toEqual({ problems: [], wrongChunks: [] });
    expect(readFileSync(join(outside, "victim"), "utf8")).toBe("untouched");
    expect(readdirSync(join(outside, "bin"))).toEqual([]);
  });

  test("a file that becomes a link while chunks arrive isn't written through", async () => {
    const artifact = typicalArtifact();
    const files = await open(dir, artifact.manifest);
    const victim = join(base, `${count}`, "victim");
    writeFileSync(victim, "x".repeat(2000));
    rmSync(join(files.treePath, "bin/app"));
    symlinkSync(victim, join(files.treePath, "bin/app"));
    await expect(files.write(0, artifact.chunks[0] as Uint8Array)).rejects.toThrow("ELOOP");
    expect(readFileSync(victim, "utf8")).toBe("x".repeat(2000));
  });

  test("a manifest that would write outside is refused before anything is made", async () => {
    for (const path of ["../evil", "/evil", "a/../../evil"]) {
      const artifact = artifactOf([{ type: "file", path, mode: 0o644, bytes: 3 }], [3]);
      await expect(open(dir, artifact.manifest)).rejects.toMatchObject({
        code: "manifest_invalid",
      });
    }
    expect(existsSync(dir)).toBe(false);
  });

  test("records that were damaged cost time, not truth", async () => {
    const artifact = typicalArtifact();
    for (const [name, from] of [
      ["progress", open],
      ["sealed", sealed],
      ["manifest", sealed],
    ] as const) {
      const at = join(base, `${count}`, name);
      const files =
        from === sealed ? await sealed(artifact, at) : await open(at, artifact.manifest);
      await files.close();
      const path = join(at, name);
      const bytes = readFileSync(path);
      for (const wrong of [
        bytes.subarray(0, bytes.length >> 1),
        Buffer.alloc(0),
        Buffer.concat([bytes, bytes]),
      ]) {
        rmSync(path);
        writeFileSync(path, wrong);
        const again = await open(at, artifact.manifest);
        await writeAll(again, artifact).catch((error: unknown) =>
          expect(String(error)).toContain("sealed"),
        );
        await again.seal();
        expect(await again.verify()).toEqual({ problems: [], wrongChunks: [] });
        await again.close();
        if (name === "progress") {
          await removeReleaseFiles(at);
          await (await open(at, artifact.manifest)).close();
        }
      }
    }
  });
});

describe("a sealed release that was changed", () => {
  const change = (path: string, work: (path: string) => void): void => {
    chmodSync(path, 0o600);
    work(path);
  };

  test("doesn't serve bytes that aren't what they were, and serves the others", async () => {
    const artifact = typicalArtifact();
    const files = await sealed(artifact);
    change(join(files.treePath, "bin/app"), (path) => {
      const bytes = readFileSync(path);
      bytes[310] = (bytes[310] as number) ^ 1;
      writeFileSync(path, bytes);
    });
    await expect(readRun(files, 0, 3)).rejects.toMatchObject({
      code: "chunk_withdrawn",
      details: { chunk: 1 },
    });
    expect([files.holds(0), files.holds(1), files.holds(2)]).toEqual([true, false, true]);
    expect(
      digestEquals((await readRun(files, 0, 1))[0] as Uint8Array, artifact.chunks[0] as Uint8Array),
    ).toBe(true);
    expect((await readRun(files, 2, 4)).length).toBe(4);
  });

  test("still serves a file that only looks changed, or was put there anew with the same bytes", async () => {
    const artifact = typicalArtifact();
    const files = await sealed(artifact);
    utimesSync(join(files.treePath, "bin/app"), 1, 1);
    const path = join(files.treePath, "lib/x/data");
    chmodSync(join(files.treePath, "lib/x"), 0o700);
    writeFileSync(`${path}.new`, readFileSync(path));
    renameSync(`${path}.new`, path);
    expect((await readRun(files, 0, 6)).length).toBe(6);
    const again = await open(dir, artifact.manifest);
    expect((await readRun(again, 0, 6)).length).toBe(6);
  });

  test("withdraws chunks of a file that was removed or cut", async () => {
    const artifact = typicalArtifact();
    await (await sealed(artifact)).close();
    const files = await open(dir, artifact.manifest);
    change(join(files.treePath, "bin/app"), (path) => writeFileSync(path, "short"));
    chmodSync(join(files.treePath, "lib/x"), 0o700);
    rmSync(join(files.treePath, "lib/x/data"));
    await expect(readRun(files, 1, 1)).rejects.toMatchObject({ code: "chunk_withdrawn" });
    await expect(readRun(files, 4, 1)).rejects.toMatchObject({ code: "chunk_withdrawn" });
    expect(files.holds(5)).toBe(true);
  });

  test("is described by verify: every kind of change by its path", async () => {
    const artifact = typicalArtifact();
    const files = await sealed(artifact);
    const tree = files.treePath;
    for (const folder of ["", "bin", "lib", "lib/x", "locked"])
      chmodSync(join(tree, folder), 0o700);
    change(join(tree, "bin/app"), (path) => appendFileSync(path, "x"));
    rmSync(join(tree, "bin/old"));
    symlinkSync("elsewhere", join(tree, "bin/old"));
    rmSync(join(tree, "lib/x/data"));
    rmSync(join(tree, "empty"));
    mkdirSync(join(tree, "empty"));
    writeFileSync(join(tree, "lib/extra"), "");
    const { problems, wrongChunks } = await files.verify();
    expect(problems.toSorted((a, b) => (a.path < b.path ? -1 : 1))).toEqual([
      { path: "bin", problem: "has mode 700" },
      { path: "bin/app", problem: "has 1001 bytes" },
      { path: "bin/old", problem: 'points to "elsewhere"' },
      { path: "empty", problem: "isn't a file" },
      { path: "lib/extra", problem: "isn't in the manifest" },
      { path: "lib/x/data", problem: "is missing" },
      { path: "locked", problem: "has mode 700" },
    ]);
    // The cached handle of the removed file is closed by opening anew.
    await files.close();
    const again = await open(dir, artifact.manifest);
    expect((await again.verify()).wrongChunks).toEqual([2, 3, 4]);
    expect(wrongChunks.every((chunk) => [2, 3, 4].includes(chunk))).toBe(true);
  });
});
