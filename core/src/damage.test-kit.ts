// Bytes that were valid and aren't any more, for tests of decoders.
import type { Prng } from "./prng.ts";

const bytesMax = 65_536;

/** A copy in which one to four bits, bytes, cuts, repeats or lengths are changed. */
export function damaged(valid: Uint8Array, prng: Prng): Uint8Array {
  let bytes = valid.slice();
  for (let change = 1 + prng.below(4); change > 0; change -= 1) {
    bytes = changed(bytes, prng).slice(0, bytesMax);
  }
  return bytes;
}

function changed(bytes: Uint8Array, prng: Prng): Uint8Array {
  const at = prng.below(bytes.length + 1);
  switch (prng.below(6)) {
    case 0:
      if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << prng.below(8));
      return bytes;
    case 1:
      if (at < bytes.length) bytes[at] = [0, 1, 0x7f, 0x80, 0xff][prng.below(5)] ?? 0;
      return bytes;
    case 2:
      return bytes.slice(0, at);
    case 3:
      return Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at >> 1)]);
    case 4:
      return Uint8Array.from([...bytes.subarray(0, at), prng.below(256), ...bytes.subarray(at)]);
    default:
      // A length of four bytes, little-endian or big, from small to enormous.
      for (let byte = 0; byte < 4 && at + byte < bytes.length; byte += 1) {
        bytes[at + byte] = prng.below(3) === 0 ? 0xff : prng.below(256);
      }
      return bytes;
  }
}
