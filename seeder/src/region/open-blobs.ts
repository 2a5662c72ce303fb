// Where the region's chunks, manifests and statements are kept: a bucket when one is configured, else a
// folder.
import { join } from "node:path";
import { ShoalError } from "@shoal/core/error";
import type { BlobStore } from "@shoal/store/blob-store";
import { openDirectoryBlobs } from "@shoal/store/directory-blobs";
import { openS3Blobs } from "@shoal/store/s3-blobs";
import type { SeederConfig } from "../config.ts";

export interface OpenBlobs {
  readonly blobs: BlobStore;
  close(): Promise<void>;
}

export type BlobsConfig = Pick<
  SeederConfig,
  | "stateDir"
  | "storeDir"
  | "storeUrl"
  | "s3Endpoint"
  | "s3Region"
  | "s3AccessKeyId"
  | "s3SecretAccessKey"
>;

/** Throws `config_invalid` when two places are named, `s3_failed` when the bucket can't be used. */
export async function openBlobs(config: BlobsConfig): Promise<OpenBlobs> {
  const { storeUrl, s3AccessKeyId: accessKeyId, s3SecretAccessKey: secretAccessKey } = config;
  if (storeUrl === undefined) {
    const blobs = await openDirectoryBlobs(config.storeDir ?? join(config.stateDir, "store"));
    return { blobs, close: async () => {} };
  }
  if (config.storeDir !== undefined)
    throw invalid("storeDir and storeUrl are two places; name one");
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined)) {
    throw invalid("s3AccessKeyId and s3SecretAccessKey belong together");
  }
  const { host, pathname } = new URL(storeUrl);
  const prefix = pathname.replace(/^\//, "");
  const blobs = await openS3Blobs({
    bucket: host,
    prefix: prefix === "" || prefix.endsWith("/") ? prefix : `${prefix}/`,
    region: config.s3Region,
    ...(config.s3Endpoint === undefined ? {} : { endpoint: config.s3Endpoint }),
    ...(accessKeyId === undefined || secretAccessKey === undefined
      ? {}
      : { credentials: { accessKeyId, secretAccessKey } }),
  });
  return { blobs, close: async () => blobs.close() };
}

function invalid(message: string): ShoalError {
  return new ShoalError("config_invalid", message, { blame: "local" });
}
