// Blobs as objects of a bucket, over the S3 protocol: `<prefix><key>`. One process at a time writes to a
// prefix; what an earlier one left of unfinished uploads is removed when the store is opened. A
// conditional put whose answer was lost is tried again and then says that it wrote nothing.
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { ShoalError } from "@shoal/core/error";
import {
  blobBytesMax,
  connectMsMax,
  s3CallMsMax,
  s3ConnectionsMax,
  s3PartBytes,
  s3TriesMax,
} from "@shoal/core/limits";
import type { Bytes } from "@shoal/core/units";
import {
  bodyBytes,
  checkKey,
  isKey,
  listPageCount,
  missingBlob,
  type BlobInfo,
  type BlobKey,
  type BlobPage,
  type BlobStore,
} from "./blob-store.ts";
import { forEachInLanes } from "./bounded-lanes.ts";

export interface S3BlobsConfig {
  readonly bucket: string;
  /** Before every key: empty or ending with a slash. */
  readonly prefix: string;
  /** Of a server other than Amazon's; its buckets are then part of the path. */
  readonly endpoint?: string;
  readonly region: string;
  /** Where none are given, the SDK looks in its usual places (variables, files, the machine's role). */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

const partsAtOnceMax = 3;

/** Opens the store in a bucket that is there already. Throws `s3_failed`. */
export async function openS3Blobs(config: S3BlobsConfig): Promise<S3Blobs> {
  const blobs = new S3Blobs(config);
  try {
    await blobs.removeUnfinished();
    return blobs;
  } catch (error) {
    blobs.close();
    throw error;
  }
}

export class S3Blobs implements BlobStore {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;

  constructor(config: S3BlobsConfig) {
    const { endpoint, region, credentials } = config;
    this.#bucket = config.bucket;
    this.#prefix = config.prefix;
    const agent = { keepAlive: true, maxSockets: s3ConnectionsMax };
    this.#client = new S3Client({
      region,
      maxAttempts: s3TriesMax,
      // Many servers know no checksum trailers; content has hashes of its own.
      requestChecksumCalculation: "WHEN_REQUIRED",
      responseChecksumValidation: "WHEN_REQUIRED",
      requestHandler: { connectionTimeout: connectMsMax, httpAgent: agent, httpsAgent: agent },
      ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
      ...(credentials === undefined ? {} : { credentials }),
    });
  }

  async put(
    key: BlobKey,
    body: readonly Uint8Array[],
    options: { ifAbsent?: boolean } = {},
  ): Promise<boolean> {
    const bytes = bodyBytes(body);
    const object = this.#object(key);
    const whole = Buffer.concat(body);
    // Not every server heeds a condition at the end of a multipart upload; a single put all do.
    if (options.ifAbsent !== true && bytes > s3PartBytes) {
      await this.#putInParts(object, whole);
      return true;
    }
    const condition = options.ifAbsent === true ? { IfNoneMatch: "*" } : {};
    for (let tries = 1; ; tries += 1) {
      try {
        await this.#client.send(
          new PutObjectCommand({ ...object, ...condition, Body: whole }),
          deadline(),
        );
        return true;
      } catch (error) {
        if (statusOf(error) === 412) return false;
        // Somebody else's conditional put of the same key is under way.
        if (statusOf(error) !== 409 || tries === s3TriesMax) throw failed("put", key, error);
      }
    }
  }

  async get(
    key: BlobKey,
    range?: { readonly offset: number; readonly bytes: Bytes },
  ): Promise<Uint8Array> {
    const object = this.#object(key);
    if (range !== undefined && range.bytes === 0) {
      if ((await this.stat(key)) === undefined) throw missingBlob(key);
      return new Uint8Array(0);
    }
    const part =
      range === undefined
        ? {}
        : { Range: `bytes=${range.offset}-${range.offset + range.bytes - 1}` };
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#getOnce({ ...object, ...part });
      } catch (error) {
        if (isMissing(error)) throw missingBlob(key);
        // The range begins at the end or behind it.
        if (statusOf(error) === 416) return new Uint8Array(0);
        // The SDK tries requests again, but not answers that break off.
        const isFinal = error instanceof ShoalError || statusOf(error) !== undefined;
        if (isFinal || tries === s3TriesMax) throw failed("get", key, error);
      }
    }
  }

  async stat(key: BlobKey): Promise<BlobInfo | undefined> {
    try {
      const found = await this.#client.send(new HeadObjectCommand(this.#object(key)), deadline());
      return { key, bytes: found.ContentLength ?? 0 };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw failed("stat", key, error);
    }
  }

  async list(
    prefix: string,
    options: { readonly after?: BlobKey; readonly countMax?: number } = {},
  ): Promise<BlobPage> {
    const { after, countMax = listPageCount } = options;
    const query = {
      Bucket: this.#bucket,
      Prefix: this.#prefix + prefix,
      MaxKeys: countMax,
      ...(after === undefined ? {} : { StartAfter: this.#prefix + after }),
    };
    try {
      const page = await this.#client.send(new ListObjectsV2Command(query), deadline());
      const found = (page.Contents ?? []).map((item) => ({
        key: (item.Key ?? "").slice(this.#prefix.length),
        bytes: item.Size ?? 0,
      }));
      return {
        // Others' objects in the bucket are passed over.
        items: found.filter((item) => isKey(item.key)),
        next: page.IsTruncated === true ? found.at(-1)?.key : undefined,
      };
    } catch (error) {
      throw failed("list", prefix, error);
    }
  }

  async delete(key: BlobKey): Promise<void> {
    try {
      await this.#client.send(new DeleteObjectCommand(this.#object(key)), deadline());
    } catch (error) {
      if (!isMissing(error)) throw failed("delete", key, error);
    }
  }

  /** Closes its connections; nothing may be under way. */
  close(): void {
    this.#client.destroy();
  }

  /** Called once, by `openS3Blobs`: aborts uploads in parts that nobody will end. */
  async removeUnfinished(): Promise<void> {
    const scope = { Bucket: this.#bucket, Prefix: this.#prefix };
    try {
      const found = await this.#client.send(new ListMultipartUploadsCommand(scope), deadline());
      for (const { Key, UploadId } of found.Uploads ?? []) {
        const upload = { Bucket: this.#bucket, Key, UploadId };
        await this.#client.send(new AbortMultipartUploadCommand(upload), deadline());
      }
    } catch (error) {
      throw failed("open", this.#prefix, error);
    }
  }

  async #getOnce(query: { Bucket: string; Key: string; Range?: string }): Promise<Uint8Array> {
    const answer = await this.#client.send(new GetObjectCommand(query), deadline());
    const bytes = answer.ContentLength ?? 0;
    if (answer.Body === undefined) return new Uint8Array(0);
    if (bytes > blobBytesMax) {
      await answer.Body.transformToWebStream().cancel();
      throw new ShoalError("blob_too_large", `a blob of ${bytes} bytes; at most ${blobBytesMax}`, {
        blame: "environment",
      });
    }
    return new Uint8Array(await answer.Body.transformToByteArray());
  }

  async #putInParts(object: { Bucket: string; Key: string }, whole: Uint8Array): Promise<void> {
    const { UploadId } = await this.#client
      .send(new CreateMultipartUploadCommand(object), deadline())
      .catch((error: unknown) => {
        throw failed("put", object.Key, error);
      });
    const upload = { ...object, UploadId };
    try {
      const parts: { PartNumber: number; ETag: string | undefined }[] = [];
      const count = Math.ceil(whole.length / s3PartBytes);
      await forEachInLanes(Array(count).keys(), partsAtOnceMax, async (index) => {
        const Body = whole.subarray(index * s3PartBytes, (index + 1) * s3PartBytes);
        const PartNumber = index + 1;
        const put = new UploadPartCommand({ ...upload, PartNumber, Body });
        const { ETag } = await this.#client.send(put, deadline());
        parts[index] = { PartNumber, ETag };
      });
      const end = { ...upload, MultipartUpload: { Parts: parts } };
      await this.#client.send(new CompleteMultipartUploadCommand(end), deadline());
    } catch (error) {
      // What can't be removed now is removed at the next opening.
      await this.#client.send(new AbortMultipartUploadCommand(upload), deadline()).catch(() => {});
      throw failed("put", object.Key, error);
    }
  }

  #object(key: BlobKey): { Bucket: string; Key: string } {
    checkKey(key);
    return { Bucket: this.#bucket, Key: this.#prefix + key };
  }
}

function deadline(): { readonly abortSignal: AbortSignal } {
  return { abortSignal: AbortSignal.timeout(s3CallMsMax) };
}

/** The HTTP status that the server answered, if it did. */
function statusOf(error: unknown): number | undefined {
  if (typeof error !== "object" || error === null || !("$metadata" in error)) return undefined;
  const { $metadata: metadata } = error as { $metadata?: { httpStatusCode?: unknown } };
  return typeof metadata?.httpStatusCode === "number" ? metadata.httpStatusCode : undefined;
}

/** An object that isn't there; a bucket that isn't there is a fault. */
function isMissing(error: unknown): boolean {
  return statusOf(error) === 404 && !(error instanceof Error && error.name === "NoSuchBucket");
}

function failed(action: string, key: string, cause: unknown): unknown {
  if (cause instanceof ShoalError) return cause;
  const status = statusOf(cause);
  const why = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  return new ShoalError("s3_failed", `S3 ${action} ${key}: ${why}`, {
    blame: "environment",
    retryable: status === undefined || status >= 500 || status === 429,
    cause,
  });
}
