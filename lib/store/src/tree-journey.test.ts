// From a tree on one machine to the same tree on another, through everything in between.
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Prng } from "@shoal/core/prng";
import { removeReleaseFiles } from "./release-files.ts";
import { useReleases } from "./release.test-kit.ts";
import { readTree } from "./tree-reader.ts";
import { scanTree } from "./tree-scan.ts";

const { base, open } = useReleases();

test("any tree, read and written in any order with kills in between, is the same tree again", async () => {
  const name = fc.constantFrom("a", "b", "c-d", "é");
  const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
  const file = fc.record({
    path,
    bytes: fc.oneof(fc.nat(2000), fc.integer({ min: 60_000, max: 400_000 })),
  });
  const trees = fc
    .uniqueArray(file, { selector: (item) => item.path, minLength: 1, maxLength: 5 })
    .filter((list) => !list.some((a) => list.some((b) => b.path.startsWith(`${a.path}/`))));
  await fc.assert(
    fc.asyncProperty(trees, fc.integer(), async (tree, seed) => {
      const prng = new Prng(seed);
      const root = mkdtempSync(join(base, "any-"));
      const source = join(root, "source");
      mkdirSync(source);
      for (const item of tree) {
        mkdirSync(join(source, item.path, ".."), { recursive: true });
        writeFileSync(
          join(source, item.path),
          Uint8Array.from({ length: item.bytes }, () => prng.below(256)),
          { mode: 0o444 },
        );
      }
      const chunks: Uint8Array[] = [];
      const manifest = await readTree(
        source,
        await scanTree(source),
        (_, bytes) => void chunks.push(bytes),
      );
      let files = await open(join(root, "release"), manifest);
      const order = chunks.map((_, index) => index).toSorted(() => prng.next() - 0.5);
      for (let turn = 0; !files.isComplete; turn += 1) {
        const chunk = order[turn % order.length] as number;
        await files.write(chunk, chunks[chunk] as Uint8Array);
        if (prng.below(3) === 0) await files.checkpoint();
        if (prng.below(5) === 0) files = await open(join(root, "release"), manifest);
      }
      await files.seal();
      await files.close();
      for (const item of tree) {
        expect(
          Buffer.compare(
            readFileSync(join(files.treePath, item.path)),
            readFileSync(join(source, item.path)),
          ),
        ).toBe(0);
      }
      const again = await open(join(root, "release"), manifest);
      expect(await again.verify()).toEqual({ problems: [], wrongChunks: [] });
      await again.close();
      await removeReleaseFiles(root);
    }),
    { numRuns: 15 },
  );
}, 60_000);
