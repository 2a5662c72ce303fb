import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeCbor, encodeCbor } from "../cbor.ts";
import { digest } from "../digest.ts";
import { ShoalError } from "../error.ts";
import { chunkBytesMax } from "../limits.ts";
import { decodeManifest, encodeManifest, manifestCid } from "./manifest-codec.ts";
import type { Manifest, ManifestEntry } from "./manifest.ts";
import { comparePaths, entriesProblem } from "./path-safety.ts";

const goldenFolder = new URL("../../../test/fixtures/manifest/v1/", import.meta.url);

function manifestOf(
  entries: readonly ManifestEntry[],
  chunkSizes: readonly number[],
  kind: "file" | "tree" = "tree",
): Manifest {
  return {
    kind,
    entries,
    bytes: chunkSizes.reduce((sum, size) => sum + size, 0),
    chunkHashes: Uint8Array.from(
      chunkSizes.flatMap((size, index) => [...digest(Uint8Array.of(index, size & 255))]),
    ),
    chunkBytes: Uint32Array.from(chunkSizes),
  };
}

const golden: Readonly<Record<string, Manifest>> = {
  "empty-tree": manifestOf([], []),
  "single-file": manifestOf(
    [{ type: "file", path: "app", mode: 0o755, bytes: 300_000 }],
    [300_000],
    "file",
  ),
  tree: manifestOf(
    [
      { type: "directory", path: "bin", mode: 0o755 },
      { type: "file", path: "bin/app", mode: 0o755, bytes: chunkBytesMax + 5 },
      { type: "link", path: "bin/app.old", target: "../lib/é" },
      { type: "file", path: "empty", mode: 0, bytes: 0 },
      { type: "file", path: "lib/é", mode: 0o640, bytes: 70_000 },
      { type: "file", path: "lib/🐟", mode: 0o777, bytes: 1 },
    ],
    [chunkBytesMax, 70_006],
  ),
};

const component = fc.constantFrom("a", "b", "a-", "🐟", "\uffee", "x y");
const path = fc.array(component, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
const mode = fc.integer({ min: 0, max: 0o777 });
const entry: fc.Arbitrary<ManifestEntry> = fc.oneof(
  fc.record({ type: fc.constant("file" as const), path, mode, bytes: fc.nat(3_000_000) }),
  fc.record({ type: fc.constant("directory" as const), path, mode }),
  fc.record({ type: fc.constant("link" as const), path, target: path }),
);
const manifests: fc.Arbitrary<Manifest> = fc
  .uniqueArray(entry, { selector: (e) => e.path, maxLength: 6 })
  .map((list) => list.toSorted((a, b) => comparePaths(a.path, b.path)))
  .filter((list) => entriesProblem(list) === undefined)
  .map((list) => {
    let left = list.reduce((sum, e) => sum + (e.type === "file" ? e.bytes : 0), 0);
    const sizes: number[] = [];
    for (; left > 0; left -= sizes.at(-1) as number) sizes.push(Math.min(left, 400_000));
    return manifestOf(list, sizes);
  });

describe("manifest", () => {
  test("every golden file opens, means what it meant, and is written the same", () => {
    for (const [name, manifest] of Object.entries(golden)) {
      const file = new URL(`${name}.cbor`, goldenFolder);
      const bytes = new Uint8Array(readFileSync(file));
      expect(decodeManifest(bytes)).toEqual(manifest);
      expect(encodeManifest(manifest)).toEqual(bytes);
      expect(`${manifestCid(bytes)}\n`).toBe(
        readFileSync(new URL(`${name}.cid`, goldenFolder), "utf8"),
      );
    }
    const names = readdirSync(goldenFolder).filter((name) => name.endsWith(".cbor"));
    expect(names.length).toBe(Object.keys(golden).length);
  });

  test("decode undoes encode", () => {
    fc.assert(
      fc.property(manifests, (manifest) => {
        expect(decodeManifest(encodeManifest(manifest))).toEqual(manifest);
      }),
    );
  });

  test("any flipped bit is refused or names another artifact with another meaning", () => {
    fc.assert(
      fc.property(manifests, fc.nat(), (manifest, seed) => {
        const bytes = encodeManifest(manifest);
        const flipped = Uint8Array.from(bytes);
        const bit = seed % (bytes.length * 8);
        flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
        expect(manifestCid(flipped)).not.toBe(manifestCid(bytes));
        try {
          expect(decodeManifest(flipped)).not.toEqual(manifest);
        } catch (error) {
          if (!(error instanceof ShoalError)) throw error;
          expect(error.code).toBe("manifest_invalid");
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("throws nothing but manifest_invalid for any bytes", () => {
    const seedBytes = encodeManifest(golden["tree"] as Manifest);
    const damaged = fc
      .tuple(fc.nat(seedBytes.length), fc.nat(12), fc.uint8Array({ maxLength: 12 }))
      .map(([at, cut, insert]) =>
        Uint8Array.from([...seedBytes.subarray(0, at), ...insert, ...seedBytes.subarray(at + cut)]),
      );
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 80 }), damaged), (bytes) => {
        try {
          expect(encodeManifest(decodeManifest(bytes))).toEqual(Uint8Array.from(bytes));
        } catch (error) {
          if (!(error instanceof ShoalError)) throw error;
          expect(error.code).toBe("manifest_invalid");
        }
      }),
      { numRuns: 5000 },
    );
  });

  const good = { type: "file", path: "a", mode: 0o644, bytes: 10 } as const;
  test.for<[string, Manifest]>([
    ["setuid", manifestOf([{ ...good, mode: 0o4755 }], [10])],
    ["a negative mode", manifestOf([{ ...good, mode: -1 }], [10])],
    ["a sticky folder", manifestOf([{ type: "directory", path: "d", mode: 0o1777 }], [])],
    ["files that are more than the chunks", manifestOf([{ ...good, bytes: 11 }], [10])],
    [
      "a negative size",
      manifestOf(
        [
          { ...good, bytes: -1 },
          { ...good, path: "b", bytes: 11 },
        ],
        [10],
      ),
    ],
    [
      "half a byte",
      manifestOf(
        [
          { ...good, bytes: 0.5 },
          { ...good, path: "b", bytes: 9.5 },
        ],
        [10],
      ),
    ],
    ["an empty chunk", manifestOf([good], [10, 0])],
    [
      "a chunk above the limit",
      manifestOf([{ ...good, bytes: chunkBytesMax + 1 }], [chunkBytesMax + 1]),
    ],
    ["a hash too few", { ...manifestOf([good], [10]), chunkHashes: new Uint8Array(0) }],
    ["half a hash", { ...manifestOf([good], [10]), chunkHashes: new Uint8Array(33) }],
    ["more than the largest artifact", { ...manifestOf([good], [10]), bytes: 2 ** 40 }],
    ["a path that leaves", manifestOf([{ ...good, path: "../a" }], [10])],
    ["a file artifact in a folder", manifestOf([{ ...good, path: "d/a" }], [10], "file")],
    ["a file artifact of two", manifestOf([good, { ...good, path: "b", bytes: 0 }], [10], "file")],
    [
      "a file artifact that is a link",
      manifestOf([{ type: "link", path: "a", target: "b" }], [], "file"),
    ],
  ])("refuses %s", ([, manifest]) => {
    expect(() => encodeManifest(manifest)).toThrow(
      expect.objectContaining({ code: "manifest_invalid" }),
    );
  });

  const limits = { bytesMax: 1 << 20, depthMax: 8, itemsMax: 1000 };
  const plain = (): Record<string, unknown> =>
    decodeCbor(encodeManifest(golden["tree"] as Manifest), limits) as Record<string, unknown>;
  test.for<[string, Record<string, unknown>]>([
    ["an unknown key", { ...plain(), extra: 1 }],
    ["another format", { ...plain(), format: "shoal.other" }],
    ["another version", { ...plain(), version: 2 }],
    ["another kind", { ...plain(), kind: "device" }],
    ["an entry of another form", { ...plain(), entries: [["x", "a", 1]] }],
    ["an entry with more fields", { ...plain(), entries: [["d", "a", 1, 1]] }],
    ["entries as a map", { ...plain(), entries: {} }],
    ["sizes that aren't whole numbers of 4 bytes", { ...plain(), sizes: new Uint8Array(3) }],
    ["hashes as text", { ...plain(), hashes: "" }],
  ])("refuses %s from outside", ([, value]) => {
    expect(() => decodeManifest(encodeCbor(value))).toThrow(
      expect.objectContaining({ code: "manifest_invalid", blame: "remote" }),
    );
  });

  test("refuses a key that is missing", () => {
    for (const key of Object.keys(plain())) {
      const { [key]: _, ...rest } = plain();
      expect(() => decodeManifest(encodeCbor(rest))).toThrow("unknown or missing keys");
    }
  });
});
