// What a place for whole objects must do, whether it is memory, a folder or an object store: the
// only thing that chunk and artifact stores need. blob-store.suite.ts holds every implementation to
// these words. Objects are never changed in place; who wants that puts a new one.
import { ShoalError } from "@shoal/core/error";
import { blobBytesMax, blobKeyCharactersMax } from "@shoal/core/limits";
import type { Bytes } from "@shoal/core/units";

/** `a/b/c`: up to four components of lower-case letters, digits, `.`, `_` and `-`, not first `.`. */
export type BlobKey = string;

export interface BlobInfo {
  readonly key: BlobKey;
  readonly bytes: Bytes;
}

export interface BlobPage {
  readonly items: readonly BlobInfo[];
  /** Give it as `after` to go on; undefined when this was the last page. */
  readonly next: BlobKey | undefined;
}

export interface BlobStore {
  /**
   * Puts a whole object: other calls see all of it or none, and it outlasts a crash once this
   * resolves. `ifAbsent` leaves an object that is there alone. Answers whether it was written.
   */
  put(
    key: BlobKey,
    body: readonly Uint8Array[],
    options?: { ifAbsent?: boolean },
  ): Promise<boolean>;
  /** The object, or as much of the range as there is of it. The caller owns the bytes. Throws `blob_missing`. */
  get(
    key: BlobKey,
    range?: { readonly offset: number; readonly bytes: Bytes },
  ): Promise<Uint8Array>;
  /**
   * Where reading costs no request: fills `into` from an offset of an object. False when there isn't as
   * much of it.
   */
  fill?(key: BlobKey, offset: number, into: Uint8Array): Promise<boolean>;
  stat(key: BlobKey): Promise<BlobInfo | undefined>;
  /** Objects whose key starts with the prefix, in the order of keys, from behind `after`. */
  list(
    prefix: string,
    options?: { readonly after?: BlobKey; readonly countMax?: number },
  ): Promise<BlobPage>;
  /** Nothing happens when it isn't there. */
  delete(key: BlobKey): Promise<void>;
}

/** Objects on a page when the caller doesn't say. */
export const listPageCount = 1000;

const keyPattern = /^[a-z0-9_-][a-z0-9._-]*(?:\/[a-z0-9_-][a-z0-9._-]*){0,3}$/;

/** Throws `blob_key_invalid` for what isn't a key: what a key can't say can't leave a folder. */
export function checkKey(key: BlobKey): void {
  if (isKey(key)) return;
  throw new ShoalError(
    "blob_key_invalid",
    `not a key of a blob: ${JSON.stringify(key.slice(0, 100))}`,
    {
      blame: "local",
    },
  );
}

export function isKey(text: string): boolean {
  return text.length <= blobKeyCharactersMax && keyPattern.test(text);
}

/** The length of a body in parts. Throws `blob_too_large`. */
export function bodyBytes(body: readonly Uint8Array[]): Bytes {
  const bytes = body.reduce((sum, part) => sum + part.length, 0);
  if (bytes <= blobBytesMax) return bytes;
  throw new ShoalError("blob_too_large", `a blob of ${bytes} bytes; at most ${blobBytesMax}`, {
    blame: "local",
  });
}

export function missingBlob(key: BlobKey): ShoalError {
  return new ShoalError("blob_missing", `no blob ${key}`, {
    blame: "environment",
    details: { key },
  });
}

/** Every object under a prefix, page by page. */
export async function* listAll(
  blobs: Pick<BlobStore, "list">,
  prefix: string,
): AsyncGenerator<BlobInfo> {
  let after: BlobKey | undefined;
  do {
    const page = await blobs.list(prefix, after === undefined ? {} : { after });
    yield* page.items;
    after = page.next;
  } while (after !== undefined);
}
