// Randomness for core: a generator made from a seed that the caller gives. Not for keys or tokens.
// Algorithm: xoshiro128** 1.1 (Blackman and Vigna, https://prng.di.unimi.it/), seeded by splitmix32.

export class Prng {
  // Four signed words and no array: a world has tens of thousands of generators, each in one place.
  #s0: number;
  #s1: number;
  #s2: number;
  #s3: number;

  constructor(seed: number) {
    this.#s0 = mixed(seed, 1);
    this.#s1 = mixed(seed, 2);
    this.#s2 = mixed(seed, 3);
    this.#s3 = mixed(seed, 4);
  }

  /** A uniform integer in 0 … 2^32 - 1. */
  nextUint32(): number {
    const s1 = this.#s1;
    const scrambled = Math.imul(s1, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0;
    const s2 = this.#s2 ^ this.#s0;
    const s3 = this.#s3 ^ s1;
    this.#s1 = s1 ^ s2;
    this.#s0 ^= s3;
    this.#s2 = s2 ^ (s1 << 9);
    this.#s3 = (s3 << 11) | (s3 >>> 21);
    return result;
  }

  /** A uniform number in [0, 1). */
  next(): number {
    return this.nextUint32() / 0x1_0000_0000;
  }

  /** A uniform integer in 0 … bound - 1; bound is 1 … 2^32. */
  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  /** An independent generator for one concern, so that adding draws there doesn't move the others. */
  child(label: number): Prng {
    return new Prng((this.nextUint32() ^ Math.imul(label + 1, 0x85ebca6b)) >>> 0);
  }
}

/** The word that comes `nth` from a seed. */
function mixed(seed: number, nth: number): number {
  let word = (seed + Math.imul(nth, 0x9e3779b9)) >>> 0;
  word = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
  word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
  return word ^ (word >>> 15);
}
