// What every BlobStore does: call `blobStoreSuite` from the test of each implementation.
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { listAll, type BlobStore } from "./blob-store.ts";

const body = (...texts: readonly string[]): Uint8Array[] =>
  texts.map((text) => new TextEncoder().encode(text));
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** `open` makes an empty store for each test. */
export function blobStoreSuite(name: string, open: () => Promise<BlobStore>): void {
  describe(`blob store: ${name}`, () => {
    let blobs: BlobStore;
    beforeEach(async () => {
      blobs = await open();
    });

    test("gives back a whole object and its size", async () => {
      expect(await blobs.put("packs/a.pack", body("hello ", "", "world"))).toBe(true);
      expect(text(await blobs.get("packs/a.pack"))).toBe("hello world");
      expect(await blobs.stat("packs/a.pack")).toEqual({ key: "packs/a.pack", bytes: 11 });
    });

    test("keeps an empty object", async () => {
      await blobs.put("empty", []);
      expect((await blobs.get("empty")).length).toBe(0);
      expect(await blobs.stat("empty")).toEqual({ key: "empty", bytes: 0 });
    });

    test.for<[number, number, string]>([
      [0, 3, "abc"],
      [3, 4, "defg"],
      [7, 100, "hij"],
      [10, 5, ""],
      [50, 5, ""],
      [2, 0, ""],
    ])("reads %i + %i of ten bytes as %j", async ([offset, bytes, expected]) => {
      await blobs.put("k", body("abcdefghij"));
      expect(text(await blobs.get("k", { offset, bytes }))).toBe(expected);
    });

    test("replaces, unless told to leave what is there", async () => {
      await blobs.put("k", body("one"));
      expect(await blobs.put("k", body("two"))).toBe(true);
      expect(await blobs.put("k", body("three"), { ifAbsent: true })).toBe(false);
      expect(text(await blobs.get("k"))).toBe("two");
      expect(await blobs.put("new", body("x"), { ifAbsent: true })).toBe(true);
    });

    test("lets exactly one of many win that put at once if absent", async () => {
      const wins = await Promise.all(
        Array.from({ length: 8 }, (_, index) =>
          blobs.put("race", body(`${index}`.repeat(1000)), { ifAbsent: true }),
        ),
      );
      expect(wins.filter(Boolean)).toHaveLength(1);
      expect(text(await blobs.get("race"))).toBe(`${wins.indexOf(true)}`.repeat(1000));
    });

    test("shows one whole object while others replace it", async () => {
      await blobs.put("k", body("0".repeat(5000)));
      const writing = new AbortController();
      const writer = (async () => {
        for (let round = 1; round < 30; round += 1) {
          await blobs.put("k", body(`${round % 10}`.repeat(5000 - round)));
        }
        writing.abort();
      })();
      while (!writing.signal.aborted) {
        const seen = text(await blobs.get("k"));
        expect(new Set(seen).size).toBe(1);
      }
      await writer;
    });

    test("says that an object is missing", async () => {
      await blobs.put("a/b", body("x"));
      for (const key of ["nothing", "a/b/c", "a"]) {
        await expect(blobs.get(key)).rejects.toMatchObject({ code: "blob_missing" });
        expect(await blobs.stat(key)).toBeUndefined();
      }
    });

    test("deletes, also what isn't there", async () => {
      await blobs.put("k", body("x"));
      await blobs.delete("k");
      await blobs.delete("k");
      expect(await blobs.stat("k")).toBeUndefined();
    });

    test("lists by prefix in pages, in the order of keys", async () => {
      const keys = ["a", "p/1", "p/2", "p/3", "p-x", "p/sub/1", "p/sub/2", "p0", "q/1"];
      for (const key of keys) await blobs.put(key, body(key));
      const listed = async (prefix: string): Promise<string[]> => {
        const found: string[] = [];
        for await (const { key } of listAll(blobs, prefix)) found.push(key);
        return found;
      };
      expect(await listed("")).toEqual(keys.toSorted());
      expect(await listed("p/")).toEqual(["p/1", "p/2", "p/3", "p/sub/1", "p/sub/2"]);
      expect(await listed("p/s")).toEqual(["p/sub/1", "p/sub/2"]);
      expect(await listed("p/sub/2")).toEqual(["p/sub/2"]);
      expect(await listed("none/")).toEqual([]);
      const first = await blobs.list("p", { countMax: 3 });
      expect(first.items.map(({ key }) => key)).toEqual(["p-x", "p/1", "p/2"]);
      const second = await blobs.list("p", { countMax: 3, after: first.next ?? "" });
      expect(second.items.map(({ key }) => key)).toEqual(["p/3", "p/sub/1", "p/sub/2"]);
      const third = await blobs.list("p", { countMax: 3, after: second.next ?? "" });
      expect(third).toEqual({ items: [{ key: "p0", bytes: 2 }], next: undefined });
    });

    test.for([
      "",
      "/a",
      "a/",
      "a//b",
      "..",
      "../a",
      "a/../b",
      ".hidden",
      "a/.b",
      "A",
      "a b",
      "é",
      "a\0",
      "a/b/c/d/e",
      "x".repeat(300),
    ])("refuses the key %j", async (key) => {
      const refused = expect.objectContaining({ code: "blob_key_invalid" });
      await expect(blobs.put(key, [])).rejects.toEqual(refused);
      await expect(blobs.get(key)).rejects.toEqual(refused);
      await expect(blobs.stat(key)).rejects.toEqual(refused);
      await expect(blobs.delete(key)).rejects.toEqual(refused);
    });

    test("owns its bytes: neither side sees the other's later changes", async () => {
      const mine = body("abc");
      await blobs.put("k", mine);
      mine[0]?.fill(0);
      const got = await blobs.get("k");
      expect(text(got)).toBe("abc");
      got.fill(0);
      expect(text(await blobs.get("k"))).toBe("abc");
    });

    test("does what a map does, for any sequence of calls", async () => {
      const key = fc.constantFrom("a", "b/1", "b/2", "b/c/1");
      const step = fc.oneof(
        fc.record({
          type: fc.constant("put" as const),
          key,
          value: fc.string(),
          ifAbsent: fc.boolean(),
        }),
        fc.record({ type: fc.constant("delete" as const), key }),
        fc.record({ type: fc.constant("get" as const), key }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
          const store = await open();
          const model = new Map<string, string>();
          for (const item of steps) {
            if (item.type === "put") {
              const written = !(item.ifAbsent && model.has(item.key));
              expect(await store.put(item.key, body(item.value), { ifAbsent: item.ifAbsent })).toBe(
                written,
              );
              if (written) model.set(item.key, item.value);
            } else if (item.type === "delete") {
              await store.delete(item.key);
              model.delete(item.key);
            } else {
              const got = await store.get(item.key).then(text, () => undefined);
              expect(got).toBe(model.get(item.key));
            }
          }
          const listed = await store.list("");
          expect(listed.items.map(({ key: at }) => at)).toEqual([...model.keys()].toSorted());
        }),
        { numRuns: 15 },
      );
    });
  });
}
