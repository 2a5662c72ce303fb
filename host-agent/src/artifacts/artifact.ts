// One artifact that goals name: fetched, sealed, then served for as long as it is named.
import type { FetchStatus } from "@shoal/api/seeder";
import type { ArtifactCid } from "@shoal/core/ids";
import { describeWaits } from "@shoal/core/swarm/waits-for";
import { Pausing } from "./pausing.ts";
import {
  beginArtifact,
  finishArtifact,
  type FetchDeps,
  type FetchedArtifact,
  type FetchRequest,
} from "./fetch-artifact.ts";

export class Artifact {
  readonly cid: ArtifactCid;
  readonly pausing: Pausing;
  readonly #wantedAt: number;
  readonly #controller: AbortController = new AbortController();
  #fetched: FetchedArtifact | null = null;
  #fetching: Promise<void> | null = null;
  #durationMs: number | null = null;
  #isHeld = false;
  /** Of fetches in a row that failed. */
  failures = 0;
  /** When it may be fetched, on the clock that `fetch` is given. */
  notBefore = 0;

  constructor(cid: ArtifactCid, now: number, isPaused: boolean) {
    this.cid = cid;
    this.pausing = new Pausing(isPaused);
    this.#wantedAt = now;
  }

  /** Whether it is whole, verified and final on disk. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  get isFetching(): boolean {
    return this.#fetching !== null;
  }

  /** Whether a person keeps it from being fetched. */
  get isPaused(): boolean {
    return !this.#isHeld && this.pausing.isPaused;
  }

  /**
   * Resolves when it is held; then it is served until `close`. Rejects when something failed, or it was
   * closed. One fetch at a time; `prepare` belongs to it.
   */
  async fetch(
    deps: FetchDeps,
    prepare: () => Promise<FetchRequest>,
    now: () => number,
  ): Promise<void> {
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    this.#fetching = over;
    const { signal } = this.#controller;
    try {
      const request = await prepare();
      signal.throwIfAborted();
      this.#fetched = await beginArtifact(deps, request, signal);
      await finishArtifact(this.#fetched, signal);
      this.#durationMs = Math.round(now() - this.#wantedAt);
      this.#isHeld = true;
      this.failures = 0;
    } catch (error) {
      const fetched = this.#fetched;
      this.#fetched = null;
      // The first error says what is wrong; what couldn't be closed is found by the next fetch.
      await fetched?.close().catch(() => undefined);
      throw error;
    } finally {
      this.#fetching = null;
      end();
    }
  }

  /** Null before its swarm was joined, and when it was here already. */
  status(): FetchStatus | null {
    if (this.#fetched === null || this.#fetched.wasHere) return null;
    const { bytes, bytesReused, membership } = this.#fetched;
    const progress = membership.progress();
    const { bytesFromSeeders, bytesFromPeers, bytesRefused, stillMs } = progress;
    const moved = {
      bytesReused: bytesReused(),
      bytesFromSeeders,
      bytesFromPeers,
      bytesRefused,
    };
    const { waits: now } = progress;
    const waits =
      now === undefined ? null : { ...now, peers: [...now.peers], stillMs: Math.round(stillMs) };
    return { artifact: this.cid, bytes, ...moved, durationMs: this.#durationMs, waits };
  }

  /** How far a fetch is, for a person; empty when there is nothing to say. */
  describe(): string {
    if (this.#isHeld) return "";
    if (this.#fetched === null) return this.isPaused ? "paused by a person" : "";
    const { chunksHeld, chunksCount, links, waits } = this.#fetched.membership.progress();
    const percent = chunksCount === 0 ? 100 : Math.floor((100 * chunksHeld) / chunksCount);
    const isResumed = waits?.reason === "paused" && !this.isPaused;
    const what = isResumed ? "room among unfinished artifacts" : describeWaits(waits);
    const why = waits === undefined ? "" : `, waits for ${what}`;
    return `${percent}% here, ${links} links${why}`;
  }

  /** Ends fetching and serving; what is on disk stays. */
  async close(): Promise<void> {
    this.#controller.abort(new Error("not wanted any more"));
    await this.#fetching;
    await this.#fetched?.close();
    this.#fetched = null;
    this.#isHeld = false;
  }
}
