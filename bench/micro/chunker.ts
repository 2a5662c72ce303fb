// How fast the chunker and the hash go over random bytes in memory, and how large chunks come out.
// Run with plain node; the best of five rounds is printed.
import { randomFillSync } from "node:crypto";
import { nextCut } from "@shoal/core/content/chunker";
import { digest } from "@shoal/core/digest";
import { gibibyte, mebibyte } from "@shoal/core/units";

const buffer = randomFillSync(new Uint8Array(256 * mebibyte));

function cutAll(visit: (chunk: Uint8Array) => void): number {
  let count = 0;
  for (let start = 0; start < buffer.length; count += 1) {
    const cut = nextCut(buffer, start, buffer.length, true);
    visit(buffer.subarray(start, cut));
    start = cut;
  }
  return count;
}

function best(name: string, run: () => void): void {
  let fastestMs = Infinity;
  for (let round = 0; round < 5; round += 1) {
    const startedMs = performance.now();
    run();
    fastestMs = Math.min(fastestMs, performance.now() - startedMs);
  }
  const rate = buffer.length / gibibyte / (fastestMs / 1000);
  console.log(`${name}: ${rate.toFixed(2)} GiB/s`);
}

let chunks = 0;
best("cut", () => {
  chunks = cutAll(() => {});
});
best("cut and hash", () => {
  cutAll((chunk) => {
    digest(chunk);
  });
});
best("hash", () => {
  digest(buffer);
});
console.log(`mean chunk: ${(buffer.length / chunks / 1024).toFixed(1)} KiB`);
