import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { digest } from "@shoal/core/digest";
import { s3PartBytes } from "@shoal/core/limits";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { blobStoreSuite } from "./blob-store.suite.ts";
import { openChunkStore } from "./chunk-store.ts";
import { openS3Blobs, type S3Blobs } from "./s3-blobs.ts";
import { startS3, whyNoS3, type S3Server } from "./s3-server.test-kit.ts";

const problem = whyNoS3();
if (problem !== undefined) process.stderr.write(`S3 tests are skipped: ${problem}\n`);

describe.skipIf(problem !== undefined)("over a real S3 server", () => {
  const bucket = `shoal-${Date.now()}`;
  const opened: S3Blobs[] = [];
  let server: S3Server;
  let client: S3Client;
  let count = 0;

  const openAt = async (prefix: string): Promise<S3Blobs> => {
    const { endpoint, credentials } = server;
    const blobs = await openS3Blobs({ bucket, prefix, endpoint, region: "us-east-1", credentials });
    opened.push(blobs);
    return blobs;
  };
  const openFresh = (): Promise<S3Blobs> => openAt(`test-${(count += 1)}/`);

  beforeAll(async () => {
    server = await startS3();
    const { endpoint, credentials } = server;
    client = new S3Client({ endpoint, credentials, region: "us-east-1", forcePathStyle: true });
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
  }, 90_000);
  afterAll(async () => {
    for (const blobs of opened) blobs.close();
    client?.destroy();
    await server?.stop();
  }, 30_000);

  blobStoreSuite("S3", openFresh);

  test("puts a large object in parts and reads any range of it", async () => {
    const blobs = await openFresh();
    const whole = Uint8Array.from({ length: 2 * s3PartBytes + 12_345 }, (_, at) => (at * 7) >> 3);
    await blobs.put("manifest/large", [whole.subarray(0, 100), whole.subarray(100)]);
    expect(digest(await blobs.get("manifest/large"))).toEqual(digest(whole));
    const range = { offset: s3PartBytes - 10, bytes: 20 };
    expect(await blobs.get("manifest/large", range)).toEqual(
      whole.slice(range.offset, range.offset + range.bytes),
    );
  }, 60_000);

  test("removes uploads that an earlier process didn't end", async () => {
    const prefix = `test-${(count += 1)}/`;
    const object = { Bucket: bucket, Key: `${prefix}manifest/half` };
    await client.send(new CreateMultipartUploadCommand(object));
    await openAt(prefix);
    const left = await client.send(
      new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix }),
    );
    expect(left.Uploads ?? []).toEqual([]);
  });

  test("holds packs of chunks that another opening reads", async () => {
    const prefix = `test-${(count += 1)}/`;
    const chunks = [1, 2, 3].map((seed) => new Uint8Array(300_000).fill(seed));
    const store = await openChunkStore(await openAt(prefix));
    for (const bytes of chunks) await store.put(digest(bytes), bytes);
    await store.flush();
    const again = await openChunkStore(await openAt(prefix));
    for (const bytes of chunks)
      expect(digest(await again.read(digest(bytes)))).toEqual(digest(bytes));
  });

  test("says which bucket can't be used", async () => {
    const { endpoint, credentials } = server;
    const missing = { bucket: "not-there", prefix: "", endpoint, region: "us-east-1", credentials };
    await expect(openS3Blobs(missing)).rejects.toMatchObject({ code: "s3_failed" });
  });
});
