// Where text in UTF-8 may be cut.

/**
 * How many of the bytes can be decoded now: less than all when the last character isn't complete. Bytes
 * that are no UTF-8 at all count as complete.
 */
export function wholeTextBytes(bytes: Uint8Array): number {
  // The last character begins at most three bytes before the last one.
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) return bytes.length;
    if (byte < 0xc0) continue;
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return needed > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
