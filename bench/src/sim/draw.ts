// Small worlds with many faults, drawn from a seed: what the search looks through.
import { Prng } from "@shoal/core/prng";
import { kibibyte } from "@shoal/core/units";
import { bytesPerMs, scenarioWith, type Scenario } from "./scenario.ts";

const piecesMax = 48;
const pieceBytes = 256 * kibibyte;

/** Each fault is absent from most worlds, so that those it would hide are seen, too. */
export function drawScenario(seed: number): Scenario {
  const prng = new Prng(seed).child(3);
  const between = (least: number, most: number): number => least + prng.below(most - least + 1);
  const seldom = (value: number): number => (prng.below(3) === 0 ? value : 0);
  const mbit = between(5, 100) * 10;
  const artifactBytes = between(1, piecesMax) * pieceBytes;
  const idealMs = artifactBytes / bytesPerMs(mbit);
  const seedersDie = prng.below(8) === 0;
  return scenarioWith({
    seed,
    hosts: between(1, 20),
    zones: between(1, 3),
    artifactBytes,
    chunkBytes: pieceBytes / 2 ** between(0, 2),
    reusedShare: seldom(prng.next()),
    mbit,
    seeders: between(1, 3),
    seederMbit: mbit / between(1, 3),
    diskBytesPerMs: 1_000_000 / between(1, 20),
    memoryBytes: between(2, 32) * pieceBytes,
    farMbit: seldom(between(5, 50)),
    joinMs: seldom(between(1, 5)) * idealMs,
    slowShare: seldom(prng.next() / 2),
    slowFactor: 1 / between(2, 10),
    // What seeders gave out is lost with the disk of the only host that has it.
    deathsPerMinute: seedersDie ? 0 : seldom(between(1, 600)),
    comeBackMs: between(1, 5000),
    wipedShare: prng.next(),
    faultsEndMs: 3 * idealMs,
    deathNoticedMs: between(1, 3000),
    lyingShare: seldom(prng.next() / 3),
    silentShare: seldom(prng.next() / 3),
    seedersDie,
  });
}
