import { execFileSync } from "node:child_process";
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  appendFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { decodeManifest, encodeManifest } from "@shoal/core/content/manifest-codec";
import type { Manifest } from "@shoal/core/content/manifest";
import { nextCut } from "@shoal/core/content/chunker";
import { digest } from "@shoal/core/digest";
import { Prng } from "@shoal/core/prng";
import { readTree } from "./tree-reader.ts";
import { scanTree } from "./tree-scan.ts";

const base = mkdtempSync(join(tmpdir(), "shoal-tree-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
let count = 0;
let root: string;
beforeEach(() => {
  count += 1;
  root = join(base, `${count}`);
  mkdirSync(root);
});

function randomBytes(seed: number, length: number): Uint8Array {
  const prng = new Prng(seed);
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let index = 0; index < words.length; index += 1) words[index] = prng.nextUint32();
  return new Uint8Array(words.buffer).subarray(0, length);
}

async function read(path: string): Promise<{ manifest: Manifest; bytes: Uint8Array }> {
  const parts: Uint8Array[] = [];
  const manifest = await readTree(path, await scanTree(path), (hash, bytes) => {
    expect(Buffer.compare(hash, digest(bytes))).toBe(0);
    // The reader's own again when this returns.
    parts.push(bytes.slice());
  });
  // Whatever was read is a manifest that others accept.
  expect(decodeManifest(encodeManifest(manifest))).toEqual(manifest);
  return { manifest, bytes: Buffer.concat(parts) };
}

describe("a tree", () => {
  test("becomes entries in path order and one stream of bytes", async () => {
    mkdirSync(join(root, "b"));
    mkdirSync(join(root, "empty"));
    chmodSync(join(root, "b"), 0o750);
    chmodSync(join(root, "empty"), 0o755);
    writeFileSync(join(root, "b", "two"), "22");
    writeFileSync(join(root, "b-1"), "1");
    writeFileSync(join(root, "🐟"), "fish");
    writeFileSync(join(root, "zero"), "");
    chmodSync(join(root, "b", "two"), 0o640);
    for (const name of ["b-1", "🐟", "zero"]) chmodSync(join(root, name), 0o755);
    symlinkSync("../b-1", join(root, "b", "link"));
    const { manifest, bytes } = await read(root);
    expect(manifest).toMatchObject({
      kind: "tree",
      bytes: 7,
      entries: [
        { type: "directory", path: "b", mode: 0o750 },
        { type: "file", path: "b-1", mode: 0o755, bytes: 1 },
        { type: "link", path: "b/link", target: "../b-1" },
        { type: "file", path: "b/two", mode: 0o640, bytes: 2 },
        { type: "directory", path: "empty", mode: 0o755 },
        { type: "file", path: "zero", mode: 0o755, bytes: 0 },
        { type: "file", path: "🐟", mode: 0o755, bytes: 4 },
      ],
    });
    expect(Buffer.from(bytes).toString()).toBe("122fish");
  });

  test("is cut as its bytes would be in one piece, across files and blocks", async () => {
    const whole = randomBytes(1, 11_000_003);
    let offset = 0;
    for (const [index, length] of [5, 4_194_304, 0, 70_000, 2_000_000, 1, 4_735_693].entries()) {
      writeFileSync(join(root, `f${index}`), whole.subarray(offset, offset + length));
      offset += length;
    }
    expect(offset).toBe(whole.length);
    const { manifest, bytes } = await read(root);
    expect(Buffer.compare(bytes, whole)).toBe(0);
    const sizes: number[] = [];
    for (let start = 0; start < whole.length;) {
      const cut = nextCut(whole, start, whole.length, true);
      sizes.push(cut - start);
      start = cut;
    }
    expect([...manifest.chunkBytes]).toEqual(sizes);
  });

  test("of nothing is an artifact of nothing", async () => {
    const { manifest } = await read(root);
    expect(manifest).toMatchObject({ kind: "tree", bytes: 0, entries: [] });
    writeFileSync(join(root, "zero"), "");
    expect((await read(join(root, "zero"))).manifest).toMatchObject({ kind: "file", bytes: 0 });
  });

  test("gives the same manifest in whatever order and way it was made", async () => {
    const name = fc.constantFrom("a", "b", "a-b", "é", "z z");
    const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
    const files = fc
      .uniqueArray(fc.record({ path, text: fc.string() }), {
        selector: (file) => file.path,
        maxLength: 6,
      })
      .filter((list) => !list.some((a) => list.some((b) => b.path.startsWith(`${a.path}/`))));
    await fc.assert(
      fc.asyncProperty(files, async (list) => {
        const manifests: Manifest[] = [];
        for (const order of [list, list.toReversed()]) {
          const folder = mkdtempSync(join(root, "x"));
          for (const file of order) {
            mkdirSync(join(folder, file.path, ".."), { recursive: true });
            writeFileSync(join(folder, file.path), file.text);
          }
          manifests.push((await read(folder)).manifest);
        }
        expect(manifests[0]).toEqual(manifests[1]);
      }),
      { numRuns: 20 },
    );
  });

  test("reads hard links as files and holes as zeros", async () => {
    writeFileSync(join(root, "a"), "same");
    linkSync(join(root, "a"), join(root, "b"));
    writeFileSync(join(root, "c"), "");
    truncateSync(join(root, "c"), 3_000_000);
    const { manifest, bytes } = await read(root);
    expect(manifest.entries).toHaveLength(3);
    expect(
      Buffer.compare(bytes, Buffer.concat([Buffer.from("samesame"), Buffer.alloc(3_000_000)])),
    ).toBe(0);
  });

  test("may be a single file, named by its base name", async () => {
    writeFileSync(join(root, "app"), "program", { mode: 0o755 });
    const { manifest } = await read(join(root, "app"));
    expect(manifest).toMatchObject({
      kind: "file",
      entries: [{ type: "file", path: "app", bytes: 7 }],
    });
  });

  test("waits for each chunk to be taken, and gives up when one isn't", async () => {
    writeFileSync(join(root, "a"), randomBytes(2, 3_000_000));
    let busy = 0;
    let most = 0;
    await readTree(root, await scanTree(root), async () => {
      busy += 1;
      most = Math.max(most, busy);
      await new Promise((resolve) => setImmediate(resolve));
      busy -= 1;
    });
    expect(most).toBe(1);
    const full = readTree(root, await scanTree(root), () => Promise.reject(new Error("no room")));
    await expect(full).rejects.toThrow("no room");
  });
});

describe("refuses by name", () => {
  const refusal = (path: string, words: string): unknown =>
    expect.objectContaining({
      code: "tree_refused",
      message: expect.stringMatching(words),
      details: { path },
    });

  test.for<[string, string, string]>([
    ["a link that leaves the tree", "../outside", "leaves the tree"],
    ["an absolute link", "/etc/passwd", "is absolute"],
    ["a link that turns back inside", "d/../../x", "has .. after another component"],
  ])("%s", async ([, target, words]) => {
    symlinkSync(target, join(root, "bad"));
    await expect(scanTree(root)).rejects.toEqual(refusal("bad", words));
  });

  test.for([0o4755, 0o2755, 0o1755])("mode %o of a file and of a folder", async (mode) => {
    mkdirSync(join(root, "d"));
    writeFileSync(join(root, "d", "f"), "");
    chmodSync(join(root, "d", "f"), mode);
    await expect(scanTree(root)).rejects.toEqual(refusal("d/f", "setuid, setgid or sticky"));
    chmodSync(join(root, "d", "f"), 0o644);
    chmodSync(join(root, "d"), mode);
    await expect(scanTree(root)).rejects.toEqual(refusal("d", "setuid, setgid or sticky"));
  });

  test("a name that isn't UTF-8", async () => {
    writeFileSync(Buffer.concat([Buffer.from(`${root}/x`), Buffer.of(0xff)]), "");
    await expect(scanTree(root)).rejects.toEqual(refusal("xÿ", "isn't UTF-8"));
  });

  test("a link whose target isn't UTF-8", async () => {
    symlinkSync(Buffer.of(0x61, 0xfe), join(root, "l"));
    await expect(scanTree(root)).rejects.toMatchObject({ code: "tree_refused" });
  });

  test("fifos, sockets and devices", async () => {
    execFileSync("mkfifo", [join(root, "pipe")]);
    await expect(scanTree(root)).rejects.toEqual(refusal("pipe", "is a fifo"));
    rmSync(join(root, "pipe"));
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(root, "sock"), resolve));
    await expect(scanTree(root)).rejects.toEqual(refusal("sock", "is a socket"));
    await new Promise((resolve) => server.close(resolve));
    await expect(scanTree("/dev/null")).rejects.toMatchObject({ code: "tree_refused" });
  });

  test("a root that is a link, and one that isn't there", async () => {
    symlinkSync(".", join(root, "self"));
    await expect(scanTree(join(root, "self"))).rejects.toMatchObject({ code: "tree_refused" });
    await expect(scanTree(join(root, "nothing"))).rejects.toMatchObject({ code: "tree_missing" });
  });
});

describe("notices a file that", () => {
  const readChanged = async (change: () => void): Promise<unknown> => {
    writeFileSync(join(root, "a"), randomBytes(3, 9_000_000));
    writeFileSync(join(root, "b"), "bb");
    const scan = await scanTree(root);
    let isFirst = true;
    return readTree(root, scan, () => {
      if (isFirst) change();
      isFirst = false;
    });
  };
  const changed = expect.objectContaining({ code: "tree_changed", retryable: true });

  test("shrinks", async () => {
    await expect(readChanged(() => truncateSync(join(root, "a"), 10))).rejects.toEqual(changed);
  });
  test("grows", async () => {
    await expect(readChanged(() => appendFileSync(join(root, "a"), "x"))).rejects.toEqual(changed);
  });
  test("is gone", async () => {
    await expect(readChanged(() => rmSync(join(root, "b")))).rejects.toEqual(changed);
  });
  test("became a link", async () => {
    const exchange = (): void => {
      rmSync(join(root, "b"));
      symlinkSync("/etc/passwd", join(root, "b"));
    };
    await expect(readChanged(exchange)).rejects.toEqual(changed);
  });
});
