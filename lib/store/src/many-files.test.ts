// A tree of very many small files, some of them deep in very long paths: read, sent, laid out, sealed,
// reused for the next version and read through. SLOW=1 makes it 100,000 files.
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { decodeManifest, encodeManifest } from "@shoal/core/content/manifest-codec";
import type { Manifest } from "@shoal/core/content/manifest";
import { manifestBytesMax } from "@shoal/core/limits";
import { afterAll, expect, test } from "vitest";
import { openChunkStore } from "./chunk-store.ts";
import { MemoryBlobs } from "./memory-blobs.ts";
import { openReleaseFiles, removeReleaseFiles } from "./release-files.ts";
import { planReuse } from "./release-reuse.ts";
import { checkAgainst } from "./tree-check.ts";
import { readTree } from "./tree-reader.ts";
import { scanTree } from "./tree-scan.ts";

const filesCount = process.env["SLOW"] === "1" ? 100_000 : 2000;
const base = mkdtempSync(join(tmpdir(), "shoal-many-"));
afterAll(() => removeReleaseFiles(base));

/** Paths of up to 1,500 bytes, a hundred files to a folder; file i has i % 3000 bytes. */
function pathOf(file: number): string {
  const folder = `part-${Math.floor(file / 100)}`;
  const deep = file % 1000 === 0 ? "a long name of a folder/".repeat(60) : "";
  return `${folder}/${deep}file-${file}`;
}

function writeFiles(root: string, marker: number): void {
  for (let file = 0; file < filesCount; file += 1) {
    const path = join(root, pathOf(file));
    if (file % 100 === 0) mkdirSync(dirname(path), { recursive: true });
    if (file % 1000 === 1) mkdirSync(dirname(path), { recursive: true });
    const seed = file % 50 === 7 ? file + marker : file;
    writeFileSync(path, Buffer.alloc(file % 3000, `${seed} `));
  }
}

test(
  "a tree of very many files goes all the way, and the next version takes what is the same",
  async () => {
    const store = await openChunkStore(new MemoryBlobs());
    const publish = async (source: string): Promise<Manifest> => {
      const manifest = await readTree(source, await scanTree(source), (hash, bytes) =>
        store.put(hash, bytes),
      );
      await store.flush();
      const encoded = encodeManifest(manifest);
      expect(encoded.length).toBeLessThan(manifestBytesMax);
      return decodeManifest(encoded);
    };
    let fetched = 0;
    const bring = async (dir: string, manifest: Manifest, from: string[]): Promise<void> => {
      const files = await openReleaseFiles(dir, manifest);
      await (await planReuse(files, from)).copy();
      for (const chunk of files.missingChunks()) {
        await files.write(chunk, await store.read(files.hashOf(chunk)));
        fetched += 1;
      }
      await files.seal();
      expect(await files.verify()).toEqual({ problems: [], wrongChunks: [] });
      await files.close();
      expect((await checkAgainst(join(dir, "tree"), manifest)).problems).toEqual([]);
    };
    const source = join(base, "source");
    writeFiles(source, 0);
    const first = await publish(source);
    expect(first.entries.filter(({ type }) => type === "file")).toHaveLength(filesCount);
    await bring(join(base, "first"), first, []);
    expect(fetched).toBe(first.chunkBytes.length);
    writeFiles(source, 1);
    fetched = 0;
    await bring(join(base, "second"), await publish(source), [join(base, "first")]);
    expect(fetched).toBeGreaterThan(0);
  },
  20 * 60_000,
);
