// BLAKE3, from the prebuilt native package: the only file that sees it.
import { Blake3Hasher, blake3 } from "@napi-rs/blake-hash";

/** Length of every content hash in Shoal. */
export const digestBytes = 32;

/** BLAKE3-256 of one buffer. */
export function digest(bytes: Uint8Array): Uint8Array {
  return plain(blake3(bytes));
}

/** BLAKE3-256 of a stream of buffers. */
export class StreamDigest {
  readonly #hasher: Blake3Hasher = new Blake3Hasher();

  update(bytes: Uint8Array): this {
    this.#hasher.update(bytes);
    return this;
  }

  finish(): Uint8Array {
    return plain(this.#hasher.digestBuffer());
  }
}

export function digestEquals(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index += 1) if (a[index] !== b[index]) return false;
  return true;
}

/** Lower-case hexadecimal, for logs, file names and JSON. */
export function toHex(bytes: Uint8Array): string {
  return bytes.toHex();
}

/** Without what Node's Buffer changes about a Uint8Array (`slice` as a view, equality in tests). */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
