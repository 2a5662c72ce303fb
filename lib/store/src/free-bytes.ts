// Gives memory back at once. The collector sees only the small objects that stand for large memory, and
// would let hundreds of MiB pile up before it looks.

/**
 * Ends the memory of bytes that nobody needs any more; they have no length from then on. Their buffer must
 * be the caller's alone. Small ones are left alone: they may lie in a pool that others use.
 */
export function freeBytes({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength >= 2 * Buffer.poolSize) buffer.transfer(0);
}
