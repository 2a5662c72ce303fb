import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { seederConfig } from "../config.ts";
import { openBlobs } from "./open-blobs.ts";

let stateDir: string;
beforeAll(async () => {
  stateDir = await mkdtemp(join(tmpdir(), "shoal-blobs-"));
});
afterAll(() => rm(stateDir, { recursive: true }));

test("keeps a region's store in a folder of its state unless told otherwise", async () => {
  const opened = await openBlobs({ stateDir, s3Region: "us-east-1" });
  await opened.blobs.put("held/a", [Uint8Array.of(1)]);
  expect(await opened.blobs.get("held/a")).toEqual(Uint8Array.of(1));
  await opened.close();
});

test("refuses two places, and half a key", async () => {
  const config = { stateDir, s3Region: "us-east-1", storeUrl: "s3://bucket/prefix" };
  const invalid = { code: "config_invalid" };
  await expect(openBlobs({ ...config, storeDir: "x" })).rejects.toMatchObject(invalid);
  await expect(openBlobs({ ...config, s3AccessKeyId: "x" })).rejects.toMatchObject(invalid);
});

test.for<[string, boolean]>([
  ["s3://bucket", true],
  ["s3://my-bucket.example/region/a/", true],
  ["s3://Bucket", false],
  ["http://bucket", false],
  ["s3://bucket/../other", false],
  ["s3://bucket/?x", false],
])("takes %j as the place of a store: %j", ([url, isValid]) => {
  expect(seederConfig.shape.storeUrl.safeParse(url).success).toBe(isValid);
});
