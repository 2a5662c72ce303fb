// Where the next build is looked for is remembered for a moment, because rows that have left the queue
// stay in its index as long as anybody has an old snapshot open; every now and then the whole queue is
// looked at.
import { builderNotedMs, queueLookMs, queueLookMsMax } from "@shoal/core/limits";
import type { Claimant, QueuePlace } from "../db/claims.ts";

/** A look at the whole queue is followed by so many times its length without one, `queueLookMsMax` at most. */
const queueLookPauses = 20;

/**
 * What one process remembers of the queue: where looks begin, by the labels of who looks, and which
 * builders are written down already and what they were given last.
 */
export class QueuePlaces {
  readonly #places = new Map<string, { readonly place: QueuePlace; readonly untilMs: number }>();

  /** Null: the whole queue is to be looked at, by who asks now; others don't wait for that. */
  at(labels: string): QueuePlace | null {
    const known = this.#places.get(labels);
    if (known === undefined) return null;
    if (known.untilMs > performance.now()) return known.place;
    this.#places.set(labels, { ...known, untilMs: performance.now() + queueLookMsMax });
    return null;
  }

  /** After a look at the whole queue: one that takes long, because of rows that can't be cleared away, is rare. */
  keep(labels: string, place: QueuePlace, tookMs: number): void {
    if (this.#places.size >= 256) this.#places.clear();
    const waitMs = Math.min(queueLookMsMax, Math.max(queueLookMs, queueLookPauses * tookMs));
    this.#places.set(labels, { place, untilMs: performance.now() + waitMs });
  }

  readonly #noted = new Map<string, { readonly text: string; readonly untilMs: number }>();

  /** Whether a builder is to be written down: it is new, has changed, or was last noted a while ago. */
  noted({ builder, holder, labels }: Claimant): boolean {
    const text = JSON.stringify([holder, labels]);
    const known = this.#noted.get(builder);
    if (known?.text === text && known.untilMs > performance.now()) return false;
    if (this.#noted.size >= 10_000) this.#noted.clear();
    this.#noted.set(builder, { text, untilMs: performance.now() + builderNotedMs });
    return true;
  }

  /** It wasn't written down after all. */
  unnoted(builder: string): void {
    this.#noted.delete(builder);
  }

  readonly #fences = new Map<string, string>();

  /** The fence of a builder's last lease that this process gave it; "0" when it knows of none. */
  lastFence(builder: string): string {
    return this.#fences.get(builder) ?? "0";
  }

  gave(builder: string, fence: string): void {
    if (this.#fences.size >= 10_000) this.#fences.clear();
    this.#fences.set(builder, fence);
  }

  /** The next look is at the whole queue. */
  forget(): void {
    this.#places.clear();
  }
}
