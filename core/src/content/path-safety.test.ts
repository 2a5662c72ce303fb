import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ManifestEntry } from "./manifest.ts";
import {
  comparePaths,
  entriesProblem,
  pathProblem,
  quote,
  targetProblem,
  utf8Length,
} from "./path-safety.ts";

function file(path: string): ManifestEntry {
  return { type: "file", path, mode: 0o644, bytes: 0 };
}
function directory(path: string): ManifestEntry {
  return { type: "directory", path, mode: 0o755 };
}
function link(path: string, target: string): ManifestEntry {
  return { type: "link", path, target };
}

describe("pathProblem", () => {
  test.for([
    "a",
    "a/b/c",
    "...",
    "..a",
    "a..",
    ".hidden/..x",
    "with space\nand newline",
    "back\\slash",
    "C:",
    "-rf",
    "é/日本/🐟",
    "x".repeat(255),
    `${"y".repeat(254)}/`.repeat(16).slice(0, 4095 - 16),
  ])("allows %j", (path) => {
    expect(pathProblem(path)).toBeUndefined();
  });

  test.for<[string, string]>([
    ["", "is empty"],
    ["/", "is absolute"],
    ["/etc/passwd", "is absolute"],
    ["//a", "is absolute"],
    [".", "has a . component"],
    ["./a", "has a . component"],
    ["a/.", "has a . component"],
    ["..", "has a .. component"],
    ["../a", "has a .. component"],
    ["a/../b", "has a .. component"],
    ["a/..", "has a .. component"],
    ["a//b", "has an empty component"],
    ["a/", "has an empty component"],
    ["a\0b", "has a NUL"],
    ["\0", "has a NUL"],
    ["\ud83d", "isn't Unicode"],
    ["a/\udc1f/b", "isn't Unicode"],
    ["x".repeat(256), "has a component longer than 255 bytes"],
    ["é".repeat(128), "has a component longer than 255 bytes"],
    [`a/${"🐟".repeat(64)}`, "has a component longer than 255 bytes"],
    ["a/".repeat(2048), "is longer than 4095 bytes"],
  ])("refuses %j: %s", ([path, problem]) => {
    expect(pathProblem(path)).toBe(problem);
  });
});

describe("targetProblem", () => {
  test.for<[string, string]>([
    ["l", "a"],
    ["l", "a/b"],
    ["l", "./a"],
    ["l", "."],
    ["l", "a/./b"],
    ["d/l", ".."],
    ["d/l", "../a"],
    ["d/l", "./../a"],
    ["d/e/l", "../../a"],
    ["l", "nowhere"],
    ["l", "l"],
    ["l", "..a"],
  ])("allows %j -> %j", ([path, target]) => {
    expect(targetProblem(path, target)).toBeUndefined();
  });

  test.for<[string, string, string]>([
    ["l", "", "is empty"],
    ["l", "/etc/passwd", "is absolute"],
    ["l", "..", "leaves the tree"],
    ["l", "./..", "leaves the tree"],
    ["l", "../x", "leaves the tree"],
    ["d/l", "../..", "leaves the tree"],
    ["d/e/l", "../../../d/e", "leaves the tree"],
    ["l", "a/..", "has .. after another component"],
    ["d/l", "s/../../x", "has .. after another component"],
    ["l", "a//b", "has an empty component"],
    ["l", "a/", "has an empty component"],
    ["l", "a\0", "has a NUL"],
    ["l", "\udc00", "isn't Unicode"],
    ["l", "x".repeat(256), "has a component longer than 255 bytes"],
    ["l", "x/".repeat(2100), "is longer than 4095 bytes"],
  ])("refuses %j -> %j: it %s", ([path, target, problem]) => {
    expect(targetProblem(path, target)).toBe(problem);
  });

  test("no chain of allowed links leaves the tree", () => {
    // A disk in memory: resolves as Linux does, and says when a step goes above the root.
    const name = fc.constantFrom("a", "b", "c");
    const place = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
    const target = fc
      .tuple(
        fc.integer({ min: 0, max: 4 }),
        fc.array(fc.constantFrom("a", "b", "c", "..", "."), { maxLength: 4 }),
      )
      .map(([ups, rest]) => [...Array.from({ length: ups }, () => ".."), ...rest].join("/"));
    let resolved = 0;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(place, target), { minLength: 1, maxLength: 8 }),
        place,
        (links, start) => {
          const tree = links
            .map(([path, to]) => link(path, to))
            .toSorted((a, b) => comparePaths(a.path, b.path));
          if (entriesProblem(tree) !== undefined) return;
          resolved += 1;
          const targets = new Map(
            tree.map((entry) => [entry.path, entry.type === "link" ? entry.target : ""]),
          );
          const todo = start.split("/");
          let at: string[] = [];
          for (let steps = 0; todo.length > 0 && steps < 200; steps += 1) {
            const part = todo.shift() as string;
            if (part === ".") continue;
            if (part === "..") {
              expect(at.length, `${start} leaves ${JSON.stringify(links)}`).toBeGreaterThan(0);
              at = at.slice(0, -1);
              continue;
            }
            const to = targets.get([...at, part].join("/"));
            if (to === undefined) at = [...at, part];
            else todo.unshift(...to.split("/"));
          }
        },
      ),
      { numRuns: 5000 },
    );
    expect(resolved).toBeGreaterThan(200);
  });
});

describe("entriesProblem", () => {
  test("allows folders that are listed, folders that aren't, and names that only look nested", () => {
    const entries = [
      file("a"),
      file("a-b"),
      directory("a.d"),
      file("a.d/x"),
      link("a.d/y", "../a"),
      file("b/c/d"),
      file("é"),
      file("\uffee"),
      file("🐟"),
    ];
    expect(entriesProblem(entries)).toBeUndefined();
    expect(entriesProblem([])).toBeUndefined();
  });

  test.for<[string, ManifestEntry[], string]>([
    ["twice", [file("a"), file("a")], 'path "a" stands there twice'],
    ["as file and link", [file("a"), link("a", "b")], 'path "a" stands there twice'],
    ["unsorted", [file("b"), file("a")], 'path "a" is out of order'],
    ["in UTF-16 order", [file("🐟"), file("\uffee")], 'path "\uffee" is out of order'],
    ["below a file", [file("a"), file("a/b")], 'path "a/b" lies below "a", which isn\'t a folder'],
    [
      "below a link",
      [link("a", "b"), file("a/b")],
      'path "a/b" lies below "a", which isn\'t a folder',
    ],
    [
      "below a link with others in between",
      [link("a", "b"), file("a+"), link("a-", "b"), file("a--x"), file("a/b/c")],
      'path "a/b/c" lies below "a", which isn\'t a folder',
    ],
    ["bad path", [file("a"), file("b/../c")], 'path "b/../c" has a .. component'],
    ["bad target", [link("a", "../x")], 'target of link "a" leaves the tree'],
  ])("refuses a path %s", ([, entries, problem]) => {
    expect(entriesProblem(entries)).toBe(problem);
  });

  test("finds a parent that isn't a folder exactly when a slow search does", () => {
    const path = fc
      .array(fc.constantFrom("a", "a-", "a0", "b", "🐟", "\uffee"), { minLength: 1, maxLength: 4 })
      .map((parts) => parts.join("/"));
    const entry = fc
      .tuple(path, fc.constantFrom("file", "directory", "link"))
      .map(([at, type]) =>
        type === "file" ? file(at) : type === "link" ? link(at, "x") : directory(at),
      );
    fc.assert(
      fc.property(fc.uniqueArray(entry, { selector: (e) => e.path, maxLength: 12 }), (list) => {
        const entries = list.toSorted((a, b) => comparePaths(a.path, b.path));
        const solid = entries.filter((e) => e.type !== "directory").map((e) => e.path);
        const slow = entries.some((e) => solid.some((at) => e.path.startsWith(`${at}/`)));
        expect(entriesProblem(entries) !== undefined).toBe(slow);
      }),
      { numRuns: 2000 },
    );
  });

  test("takes time in proportion to the bytes, also of paths made to be slow", () => {
    const deep = "a/".repeat(2040);
    const entries = Array.from({ length: 2000 }, (_, index) =>
      file(`${String(index).padStart(6, "0")}/${deep}z`),
    );
    expect(entriesProblem(entries)).toBeUndefined();
  }, 5000);
});

describe("order and length", () => {
  test("are those of the bytes of UTF-8", () => {
    const text = fc
      .string({ unit: "binary", maxLength: 8 })
      .filter((value) => value.isWellFormed());
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(comparePaths(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
        expect(utf8Length(a)).toBe(Buffer.byteLength(a));
      }),
      { numRuns: 3000 },
    );
  });

  test("a quoted path is one line of bounded length", () => {
    expect(quote("a\nb\u001b[31m")).toBe('"a\\nb\\u001b[31m"');
    expect(quote("x".repeat(4000)).length).toBeLessThan(210);
  });
});
