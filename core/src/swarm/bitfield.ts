// Sets of piece or chunk indexes as bytes: bit i % 8 of byte i >> 3 is index i, as on the wire.

const nothing = new Uint8Array(0);

export function bitfieldOf(count: number): Uint8Array {
  return new Uint8Array((count + 7) >> 3);
}

/** False for an index beyond the field. */
export function hasBit(field: Uint8Array, index: number): boolean {
  return (((field[index >> 3] ?? 0) >> (index & 7)) & 1) === 1;
}

export function setBit(field: Uint8Array, index: number): void {
  field[index >> 3] = (field[index >> 3] as number) | (1 << (index & 7));
}

export function clearBit(field: Uint8Array, index: number): void {
  field[index >> 3] = (field[index >> 3] as number) & ~(1 << (index & 7));
}

/** How many bits are set. */
export function countBits(field: Uint8Array): number {
  return countBeyond(field, nothing);
}

/** How many bits are set that aren't set in another field. */
export function countBeyond(field: Uint8Array, other: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < field.length; at += 1) {
    let left = (field[at] as number) & ~(other[at] ?? 0);
    for (; left !== 0; left &= left - 1) count += 1;
  }
  return count;
}

/** Whether a field from elsewhere is for exactly `count` indexes: its length, and no bit beyond. */
export function isBitfieldOf(field: Uint8Array, count: number): boolean {
  if (field.length !== (count + 7) >> 3) return false;
  const spare = count & 7;
  return spare === 0 || ((field.at(-1) as number) & (0xff << spare) & 0xff) === 0;
}
