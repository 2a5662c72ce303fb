import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digest } from "@shoal/core/digest";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  decodeProgress,
  decodeSealed,
  progressName,
  sealedName,
  writeProgress,
  writeSealed,
} from "./release-records.ts";

const golden = new URL("../../../test/fixtures/release/v1/", import.meta.url);
const manifestHash = digest(Uint8Array.of(1));
const held = Uint8Array.of(0b1100, 1);
const bootId = "0b8f7a2e-boot";
const marks = Uint8Array.from({ length: 64 }, (_unused, index) => index);
let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shoal-records-"));
});
afterEach(() => rm(dir, { recursive: true }));

test("the golden record of progress means what it meant, and is written the same", async () => {
  const bytes = new Uint8Array(await readFile(new URL("progress.cbor", golden)));
  expect(decodeProgress(bytes, manifestHash, bootId)).toEqual({ held, isTrusted: true });
  expect(decodeProgress(bytes, manifestHash, "another")).toEqual({ held, isTrusted: false });
  expect(decodeProgress(bytes, digest(Uint8Array.of(2)), bootId)).toBeUndefined();
  await writeProgress(dir, manifestHash, { held, bootId, isClosed: false });
  expect(new Uint8Array(await readFile(join(dir, progressName)))).toEqual(bytes);
});

test("the golden record of a sealed release means what it meant, and is written the same", async () => {
  const bytes = new Uint8Array(await readFile(new URL("sealed.cbor", golden)));
  expect(decodeSealed(bytes, manifestHash, 2)).toEqual(marks);
  expect(decodeSealed(bytes, manifestHash, 3)).toBeUndefined();
  await writeSealed(dir, manifestHash, marks);
  expect(new Uint8Array(await readFile(join(dir, sealedName)))).toEqual(bytes);
});
