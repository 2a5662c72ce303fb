// How carefully a release goes out. Chosen by configuration; the defaults are for a fleet of any size.
import type { Millis } from "../units.ts";
import { minuteMs, secondMs } from "../units.ts";

/** How far a wave goes, counted over all regions and including the waves before it. */
export type WaveSize =
  | { readonly type: "hosts"; readonly hosts: number }
  | { readonly type: "share"; readonly share: number };

export interface RolloutPolicy {
  /** In rising order. After the last one everybody may switch, whatever it says. */
  readonly waves: readonly WaveSize[];
  /** So many open hosts, beyond those that are healthy with the release, at any time; at least one. */
  readonly maxUnavailable: WaveSize;
  /**
   * `together`: each wave opens in all regions, and the next one when all of them are well.
   * `sequence`: all waves of one region, then all of the next.
   */
  readonly regions: "together" | "sequence";
  /** For `sequence`: these first and in this order, then the others by name. */
  readonly regionOrder: readonly string[];
  /** For `sequence`: how long a finished region must stay well before the next one begins. */
  readonly regionBakeMs: Millis;
  /** Of the reporting hosts of each region: so many hold the release before the first wave opens. */
  readonly holdingShareMin: number;
  /** After this time the first wave opens with those that hold it. */
  readonly prepareMs: Millis;
  /** So long after it last opened hosts, a wave goes on without stragglers, or is judged. */
  readonly waveMs: Millis;
  /** How long a finished wave must stay well before the next one opens. */
  readonly bakeMs: Millis;
  /** More failed hosts than this share of the open ones, and at least one, halt the rollout. */
  readonly failedShareMax: number;
  /** Fewer silent hosts than this share of the open ones are the ordinary dying of machines. */
  readonly silentShareMax: number;
  /** So long a fleet must look empty before it is believed: seeders that restarted look like that. */
  readonly emptyMs: Millis;
  /** A fleet that is so many times the planned one gets its waves planned anew. */
  readonly replanFactor: number;
  /** A region without counts for this long pauses the rollout. */
  readonly noDataMs: Millis;
}

export const defaultRolloutPolicy: RolloutPolicy = {
  waves: [
    { type: "hosts", hosts: 1 },
    { type: "share", share: 0.1 },
    { type: "share", share: 0.5 },
    { type: "share", share: 1 },
  ],
  maxUnavailable: { type: "share", share: 0.25 },
  regions: "together",
  regionOrder: [],
  regionBakeMs: 2 * secondMs,
  holdingShareMin: 0.99,
  prepareMs: 30 * minuteMs,
  waveMs: 10 * minuteMs,
  bakeMs: 2 * secondMs,
  failedShareMax: 0.05,
  silentShareMax: 0.01,
  emptyMs: 10 * secondMs,
  replanFactor: 1.5,
  noDataMs: 1 * minuteMs,
};
