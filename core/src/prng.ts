// Randomness for core: a generator made from a seed that the caller gives. Not for keys or tokens.
// Algorithm: xoshiro128** 1.1 (Blackman and Vigna, https://prng.di.unimi.it/), seeded by splitmix32.

export class Prng {
  readonly #state: Uint32Array;

  constructor(seed: number) {
    this.#state = new Uint32Array(4);
    let mix = seed >>> 0;
    for (let index = 0; index < 4; index += 1) {
      mix = (mix + 0x9e3779b9) >>> 0;
      let word = mix;
      word = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
      word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
      this.#state[index] = word ^ (word >>> 15);
    }
  }

  /** A uniform integer in 0 … 2^32 - 1. */
  nextUint32(): number {
    const state = this.#state;
    const s1 = state[1] as number;
    const scrambled = Math.imul(s1, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0;
    const shifted = s1 << 9;
    state[2] = (state[2] as number) ^ (state[0] as number);
    state[3] = (state[3] as number) ^ s1;
    state[1] = s1 ^ state[2];
    state[0] = (state[0] as number) ^ state[3];
    state[2] = state[2] ^ shifted;
    const s3 = state[3];
    state[3] = (s3 << 11) | (s3 >>> 21);
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
