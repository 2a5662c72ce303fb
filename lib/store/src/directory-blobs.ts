// Blobs as files in a folder: `<root>/<key>`. What isn't finished stands in `<root>/.aside`, which
// is emptied when the store is opened: so one process at a time writes to a folder. Reading from
// others is fine.
import { open, mkdir, readdir, rm, stat, unlink } from "node:fs/promises";
import type { Dirent } from "node:fs";
import { dirname, join } from "node:path";
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
import { OpenReaders } from "./open-readers.ts";
import { errorCode, ignoreMissing, makeFolderDurably, writeDurably } from "./durable-file.ts";

const asideName = ".aside";

/** Opens or creates a store in a folder, and removes what an earlier process left unfinished. */
export async function openDirectoryBlobs(root: string): Promise<BlobStore> {
  await makeFolderDurably(root);
  const aside = join(root, asideName);
  await rm(aside, { recursive: true, force: true });
  await mkdir(aside, { mode: 0o700 });
  return new DirectoryBlobs(root);
}

class DirectoryBlobs implements BlobStore {
  readonly #root: string;
  readonly #aside: string;
  readonly #readers: OpenReaders = new OpenReaders();
  /** Folders known to be there, so that a put doesn't look each time. */
  readonly #folders: Set<string> = new Set();

  constructor(root: string) {
    this.#root = root;
    this.#aside = join(root, asideName);
  }

  async put(
    key: BlobKey,
    body: readonly Uint8Array[],
    options: { ifAbsent?: boolean } = {},
  ): Promise<boolean> {
    const path = this.#path(key);
    bodyBytes(body);
    const folder = dirname(path);
    if (!this.#folders.has(folder)) {
      await makeFolderDurably(folder);
      this.#folders.add(folder);
    }
    return writeDurably(path, body, { ...options, asideFolder: this.#aside });
  }

  async get(
    key: BlobKey,
    range?: { readonly offset: number; readonly bytes: Bytes },
  ): Promise<Uint8Array> {
    const handle = await open(this.#path(key), "r").catch((error: unknown) => {
      throw errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR"
        ? missingBlob(key)
        : error;
    });
    try {
      const found = await handle.stat();
      if (!found.isFile()) throw missingBlob(key);
      const { size } = found;
      const offset = Math.min(range?.offset ?? 0, size);
      const bytes = new Uint8Array(Math.min(range?.bytes ?? size, size - offset));
      let filled = 0;
      while (filled < bytes.length) {
        const { bytesRead } = await handle.read(
          bytes,
          filled,
          bytes.length - filled,
          offset + filled,
        );
        if (bytesRead === 0) throw missingBlob(key);
        filled += bytesRead;
      }
      return bytes;
    } finally {
      await handle.close();
    }
  }

  async fill(key: BlobKey, offset: number, into: Uint8Array): Promise<boolean> {
    const opened = await this.#readers.open(this.#path(key)).catch((error: unknown) => {
      if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return undefined;
      throw error;
    });
    if (opened === undefined) return false;
    try {
      for (let filled = 0; filled < into.length;) {
        const rest = into.length - filled;
        const { bytesRead } = await opened.handle.read(into, filled, rest, offset + filled);
        if (bytesRead === 0) return false;
        filled += bytesRead;
      }
      return true;
    } finally {
      opened.release();
    }
  }

  async stat(key: BlobKey): Promise<BlobInfo | undefined> {
    try {
      const found = await stat(this.#path(key));
      return found.isFile() ? { key, bytes: found.size } : undefined;
    } catch (error) {
      if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return undefined;
      throw error;
    }
  }

  async list(
    prefix: string,
    options: { readonly after?: BlobKey; readonly countMax?: number } = {},
  ): Promise<BlobPage> {
    const { after = "", countMax = listPageCount } = options;
    const slash = prefix.lastIndexOf("/");
    const keys: BlobKey[] = [];
    await this.#collect(prefix.slice(0, slash + 1), prefix, after, keys);
    const page = keys.toSorted().slice(0, countMax);
    const found = await Promise.all(page.map((key) => this.stat(key)));
    return {
      // A blob may have been deleted since its name was read.
      items: found.filter((info) => info !== undefined),
      next: keys.length > countMax ? page.at(-1) : undefined,
    };
  }

  async delete(key: BlobKey): Promise<void> {
    this.#readers.forget(this.#path(key));
    await unlink(this.#path(key)).catch(ignoreMissing);
  }

  #path(key: BlobKey): string {
    checkKey(key);
    return join(this.#root, key);
  }

  /** Adds the keys below a folder ("" or "a/b/") that the prefix and `after` let through. */
  async #collect(folder: string, prefix: string, after: BlobKey, keys: BlobKey[]): Promise<void> {
    const found = await readdir(join(this.#root, folder), { withFileTypes: true }).catch(
      (error: unknown): Dirent[] => ignoreMissing(error) ?? [],
    );
    for (const item of found) {
      if (item.name.startsWith(".")) continue;
      const key = folder + item.name;
      if (item.isDirectory()) {
        const below = `${key}/`;
        if (!below.startsWith(prefix) && !prefix.startsWith(below)) continue;
        await this.#collect(below, prefix, after, keys);
      } else if (key.startsWith(prefix) && key > after) {
        keys.push(key);
      }
    }
  }
}
