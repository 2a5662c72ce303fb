// Makes a "recording": 16-bit noise from seeds, so that it neither compresses nor repeats. A voice is
// a list of sections; changing the seed of one changes only the bytes of that section.
// Generator: mulberry32.

const mebibyte = 1024 * 1024;

/** The bytes of a voice: its sections, one after another. */
export function voiceBytes(sections) {
  return Buffer.concat(sections.map(({ seed, mebibytes }) => noise(seed, mebibytes * mebibyte)));
}

function noise(seed, bytes) {
  const words = new Uint32Array(bytes / 4);
  let state = seed >>> 0;
  for (let index = 0; index < words.length; index += 1) {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    words[index] = mixed ^ (mixed >>> 14);
  }
  return Buffer.from(words.buffer);
}
