// Lets go of artifacts that nothing names any more and of what uploads and pulls left unfinished,
// each after a time, and collects their chunks.
import type { ArtifactCid } from "@shoal/core/ids";
import { uploadIdleMsMax } from "@shoal/core/limits";
import type { Log } from "@shoal/daemon/log";
import type { Uploads } from "../ingest/uploads.ts";
import type { RegionStore } from "./region-store.ts";

export interface RetentionDeps {
  readonly store: RegionStore;
  readonly uploads: Uploads;
  readonly now: () => number;
  readonly onDropped: () => void;
  readonly log: Log;
}

export class Retention {
  readonly #deps: RetentionDeps;
  readonly #dropAfterMs: number;
  /** Since when nothing wants an artifact, or what there is of one. */
  readonly #unwantedSinceMs: Map<ArtifactCid, number> = new Map();

  constructor(deps: RetentionDeps, dropAfterMs: number) {
    this.#deps = deps;
    this.#dropAfterMs = dropAfterMs;
  }

  /** Drops what has been unwanted for long enough, then collects. `named` is null while no plan is known. */
  async run(named: ReadonlySet<ArtifactCid> | null): Promise<void> {
    const { store, uploads, now, onDropped, log } = this.#deps;
    uploads.expire(now());
    if (named === null) return;
    const unnamed = store.held().flatMap(({ cid }) => (named.has(cid) ? [] : [cid]));
    const unfinished = (await store.unfinished()).filter((cid) => !named.has(cid));
    const unwanted = new Set([...unnamed, ...unfinished]);
    for (const cid of this.#unwantedSinceMs.keys())
      if (!unwanted.has(cid)) this.#unwantedSinceMs.delete(cid);
    const dropped =
      (await this.#drop(unnamed, this.#dropAfterMs)) +
      (await this.#drop(unfinished, uploadIdleMsMax));
    if (dropped > 0) onDropped();
    const collected = await store.chunks.collect(
      (hash) => store.isNamed(hash) || uploads.isNamed(hash),
    );
    if (dropped > 0 || collected.packsDeleted > 0) log.info({ dropped, ...collected }, "collected");
  }

  /** Answers how many were dropped. */
  async #drop(unwanted: readonly ArtifactCid[], afterMs: number): Promise<number> {
    const { store, now } = this.#deps;
    let dropped = 0;
    for (const cid of unwanted) {
      const sinceMs = this.#unwantedSinceMs.get(cid) ?? now();
      if (!this.#unwantedSinceMs.has(cid)) store.beginGrace(cid);
      this.#unwantedSinceMs.set(cid, sinceMs);
      if (now() - sinceMs < afterMs) continue;
      this.#unwantedSinceMs.delete(cid);
      if (await store.drop(cid)) dropped += 1;
    }
    return dropped;
  }
}
