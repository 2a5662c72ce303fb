// Blobs in memory, for tests and for processes that keep nothing.
import type { Bytes } from "@shoal/core/units";
import {
  bodyBytes,
  checkKey,
  listPageCount,
  missingBlob,
  type BlobInfo,
  type BlobKey,
  type BlobPage,
  type BlobStore,
} from "./blob-store.ts";

export class MemoryBlobs implements BlobStore {
  readonly #blobs: Map<BlobKey, Uint8Array> = new Map();

  async put(
    key: BlobKey,
    body: readonly Uint8Array[],
    options: { ifAbsent?: boolean } = {},
  ): Promise<boolean> {
    checkKey(key);
    const whole = new Uint8Array(bodyBytes(body));
    let offset = 0;
    for (const part of body) {
      whole.set(part, offset);
      offset += part.length;
    }
    if (options.ifAbsent === true && this.#blobs.has(key)) return false;
    this.#blobs.set(key, whole);
    return true;
  }

  async get(
    key: BlobKey,
    range?: { readonly offset: number; readonly bytes: Bytes },
  ): Promise<Uint8Array> {
    checkKey(key);
    const whole = this.#blobs.get(key);
    if (whole === undefined) throw missingBlob(key);
    return range === undefined
      ? whole.slice()
      : whole.slice(range.offset, range.offset + range.bytes);
  }

  async stat(key: BlobKey): Promise<BlobInfo | undefined> {
    checkKey(key);
    const whole = this.#blobs.get(key);
    return whole === undefined ? undefined : { key, bytes: whole.length };
  }

  async list(
    prefix: string,
    options: { readonly after?: BlobKey; readonly countMax?: number } = {},
  ): Promise<BlobPage> {
    const { after = "", countMax = listPageCount } = options;
    const keys = [...this.#blobs.keys()].filter((key) => key.startsWith(prefix) && key > after);
    const items = keys
      .toSorted()
      .slice(0, countMax)
      .map((key) => ({ key, bytes: this.#blobs.get(key)?.length ?? 0 }));
    return { items, next: keys.length > countMax ? items.at(-1)?.key : undefined };
  }

  async delete(key: BlobKey): Promise<void> {
    checkKey(key);
    this.#blobs.delete(key);
  }
}
