// Pulls from other regions what the plan wants this region to hold: manifest and statement first,
// both verified, then only the chunks that are missing. What arrived stays, so a pull that broke
// goes on where it was.
import type { Plan } from "@shoal/api/seeder";
import type { SeederClient } from "@shoal/api/seeder-client";
import { digestBytes } from "@shoal/core/digest";
import { ShoalError } from "@shoal/core/error";
import type { ArtifactCid } from "@shoal/core/ids";
import { artifactPullsMax, pullChunksMax, pullsMax } from "@shoal/core/limits";
import type { Log } from "@shoal/daemon/log";
import { freeBytes } from "@shoal/store/free-bytes";
import { verifyStatement } from "@shoal/trust/statement";
import type { TrustKeeper } from "@shoal/trust/trust-keeper";
import { checkedManifest, type RegionStore } from "./region-store.ts";

type PlannedArtifact = Plan["artifacts"][number];
type Source = PlannedArtifact["sources"][number];

export interface ReplicatorDeps {
  readonly store: RegionStore;
  readonly trust: Pick<TrustKeeper, "document">;
  readonly now: () => number;
  /** A client of another region's seeder that presents the plan's pull grant. */
  readonly connect: (source: Source) => SeederClient;
  readonly onHeld: () => void;
  readonly log: Pick<Log, "info" | "warn">;
}

export class Replicator {
  readonly #deps: ReplicatorDeps;

  constructor(deps: ReplicatorDeps) {
    this.#deps = deps;
  }

  /** Pulls everything of a plan that isn't held; throws the last failure when something couldn't be pulled. */
  async pull(artifacts: readonly PlannedArtifact[], signal: AbortSignal): Promise<void> {
    const wanted = artifacts.filter(
      ({ cid, sources }) => this.#deps.store.get(cid) === undefined && sources.length > 0,
    );
    const failures: unknown[] = [];
    const queue = wanted.values();
    const pullSome = async (): Promise<void> => {
      for (const artifact of queue) {
        const failure = await this.#pullFromAny(artifact, signal);
        if (failure === undefined) this.#deps.onHeld();
        else failures.push(failure);
      }
    };
    await Promise.all(Array.from({ length: artifactPullsMax }, pullSome));
    signal.throwIfAborted();
    if (failures.length > 0) throw failures.at(-1);
  }

  /** Answers why no source gave the artifact; undefined when one did. */
  async #pullFromAny(artifact: PlannedArtifact, signal: AbortSignal): Promise<unknown> {
    let failure: unknown;
    for (const source of artifact.sources) {
      if (signal.aborted) return signal.reason;
      try {
        await this.#pullFrom(artifact, this.#deps.connect(source), signal);
        return undefined;
      } catch (error) {
        failure = error;
        const facts = { error, cid: artifact.cid, source: source.region };
        if (!signal.aborted) this.#deps.log.warn(facts, "an artifact can't be pulled");
      }
    }
    return failure;
  }

  async #pullFrom(
    { cid, project }: PlannedArtifact,
    source: SeederClient,
    signal: AbortSignal,
  ): Promise<void> {
    const { store, trust, now, log } = this.#deps;
    const startedAtMs = now();
    const [bytes, statement] = await Promise.all([
      source.getManifest(cid, { signal }),
      source.getStatement(cid, { signal }),
    ]);
    const manifest = checkedManifest(cid, bytes);
    verifyStatement(statement, trust.document(), { nowMs: now(), project, artifact: cid });
    const expected = store.expect(manifest);
    try {
      const missing = store.chunks.missing(manifest.chunkHashes);
      await this.#pullChunks(cid, missing, source, signal);
      await store.putManifest(cid, bytes, () => true);
      await store.hold(cid, project, statement);
      const facts = { cid, chunks: missing.length / digestBytes, durationMs: now() - startedAtMs };
      log.info(facts, "pulled an artifact");
    } finally {
      expected();
    }
  }

  async #pullChunks(
    cid: ArtifactCid,
    missing: Uint8Array,
    source: SeederClient,
    signal: AbortSignal,
  ): Promise<void> {
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    const batchBytes = pullChunksMax * digestBytes;
    let next = 0;
    const pullBatches = async (): Promise<void> => {
      while (next < missing.length && !either.aborted) {
        const batch = missing.subarray(next, next + batchBytes);
        next += batchBytes;
        await this.#pullBatch(cid, batch, source, either);
      }
    };
    const pulls = Array.from({ length: pullsMax }, () =>
      pullBatches().catch((error: unknown) => {
        // The first failure ends the others, and is the one that is thrown.
        if (!failed.signal.aborted) failed.abort(error);
      }),
    );
    await Promise.all(pulls);
    either.throwIfAborted();
  }

  async #pullBatch(
    cid: ArtifactCid,
    batch: Uint8Array,
    source: SeederClient,
    signal: AbortSignal,
  ): Promise<void> {
    let received = 0;
    for await (const { hash, bytes } of source.getChunks(cid, batch, { signal })) {
      // The store refuses bytes that don't hash to their name; here it refuses what nobody asked for.
      if (!Buffer.from(hash).equals(batch.subarray(received, received + digestBytes))) break;
      // Batches that come at once don't lie mixed in their packs.
      const order = batch.byteOffset;
      await this.#deps.store.chunks.put(hash, bytes, { order, isGiven: true });
      freeBytes(bytes);
      received += digestBytes;
    }
    if (received === batch.length) return;
    const message = "A seeder sent other chunks than it was asked for, or too few.";
    throw new ShoalError("chunks_missing", message, { blame: "remote", retryable: true });
  }
}
