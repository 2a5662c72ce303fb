import { uploadIdleMsMax, uploadsMax } from "@shoal/core/limits";
import { expect, test } from "vitest";
import { Uploads } from "./uploads.ts";

const hash = new Uint8Array(32).fill(7);

test("an upload has what it sent, and no other upload has", () => {
  const uploads = new Uploads();
  uploads.add("a", hash, 0);
  expect(uploads.has("a", hash)).toBe(true);
  expect(uploads.has("b", hash)).toBe(false);
  uploads.end("a");
  expect(uploads.has("a", hash)).toBe(false);
});

test("an upload that sends nothing any more is forgotten, one that goes on isn't", () => {
  const uploads = new Uploads();
  uploads.add("idle", hash, 0);
  uploads.add("busy", hash, 0);
  uploads.add("busy", hash, uploadIdleMsMax);
  uploads.expire(uploadIdleMsMax + 1);
  expect(uploads.has("idle", hash)).toBe(false);
  expect(uploads.has("busy", hash)).toBe(true);
  expect(uploads.isNamed(hash)).toBe(true);
});

test("beyond the limit an upload is refused until another one ends or falls idle", () => {
  const uploads = new Uploads();
  for (let index = 0; index < uploadsMax; index += 1) uploads.add(`upload ${index}`, hash, 0);
  expect(() => uploads.add("late", hash, 1)).toThrow("Too many uploads");
  uploads.add("upload 0", hash, 2);
  uploads.end("upload 0");
  uploads.add("late", hash, 3);
  uploads.add("later", hash, uploadIdleMsMax + 2);
  expect(uploads.has("late", hash)).toBe(true);
});
