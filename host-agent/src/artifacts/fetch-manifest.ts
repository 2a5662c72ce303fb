// Brings an artifact's manifest here: from the release's folder, or from a seeder when it is short, or in
// blocks through the swarm when it is long (PROTOCOL.md 2.5), so that a region's hosts don't all take
// megabytes from its seeders. What the swarm doesn't bring in time, a seeder gives whole.
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Manifest } from "@shoal/core/content/manifest";
import {
  blocksOf,
  decodeBlocks,
  isInBlocks,
  type ManifestBlocks,
} from "@shoal/core/content/manifest-blocks";
import { decodeManifest, manifestCid } from "@shoal/core/content/manifest-codec";
import { remoteError, ShoalError } from "@shoal/core/error";
import type { ArtifactCid } from "@shoal/core/ids";
import { manifestStillMsMax } from "@shoal/core/limits";
import { manifestName, readReleaseManifest } from "@shoal/store/release-records";
import { startAnnouncing, type AnnouncingDeps } from "./announcing.ts";
import type { Pausing } from "./pausing.ts";
import { joinManifestSwarm, ManifestStorage, type ManifestSwarm } from "./manifest-swarm.ts";
import type { PeerNode } from "@shoal/peer/peer-node";

export interface FetchManifestDeps extends Omit<AnnouncingDeps, "node" | "membership"> {
  readonly node: AnnouncingDeps["node"] & Pick<PeerNode, "join">;
}

export interface ManifestRequest {
  readonly cid: ArtifactCid;
  /** Where the release is, or will be. */
  readonly directory: string;
  readonly priority: number;
  /** A paused artifact's manifest isn't asked for; one that is on its way comes. */
  readonly pausing: Pick<Pausing, "untilResumed">;
}

export interface FetchedManifest {
  readonly manifest: Manifest;
  /** To be called when it lies in the release's folder. */
  onDisk(): void;
  /** Serves its blocks no longer. Idempotent. */
  close(): Promise<void>;
}

/** Throws `manifest_mismatch`, `manifest_invalid`, or what the seeders said. */
export async function fetchManifest(
  deps: FetchManifestDeps,
  request: ManifestRequest,
  signal: AbortSignal,
): Promise<FetchedManifest> {
  const { cid, directory } = request;
  const found = await readReleaseManifest(directory);
  if (found !== undefined && manifestCid(found.encoded) === cid)
    return fetched(deps, request, found.encoded, found.manifest);
  await request.pausing.untilResumed(signal);
  const short = await deps.seeders.ask(
    async (client) => manifestOrBlocks(cid, await client.getManifestOrBlocks(cid, { signal })),
    signal,
  );
  if (short instanceof Uint8Array) return fetched(deps, request, short);
  const swarm = joinManifestSwarm(deps.node, partOf(request), new ManifestStorage(short));
  try {
    await filled(deps, cid, swarm, signal);
    const { bytes } = swarm.storage;
    if (bytes !== undefined && manifestCid(bytes) === cid) {
      return served(decodeManifest(bytes), directory, swarm);
    }
  } catch (error) {
    await swarm.membership.leave();
    throw error;
  }
  // The list was false, or nobody had a block for long.
  await swarm.membership.leave();
  return fetched(deps, request, await wholeManifest(deps, cid, signal));
}

function manifestOrBlocks(cid: ArtifactCid, bytes: Uint8Array): Uint8Array | ManifestBlocks {
  if (manifestCid(bytes) === cid) return bytes;
  try {
    return decodeBlocks(bytes);
  } catch (cause) {
    throw mismatch(cid, cause instanceof ShoalError ? { reason: cause.message } : undefined);
  }
}

function wholeManifest(
  { seeders }: Pick<FetchManifestDeps, "seeders">,
  cid: ArtifactCid,
  signal: AbortSignal,
): Promise<Uint8Array> {
  return seeders.ask(async (client) => {
    const bytes = await client.getManifest(cid, { signal });
    if (manifestCid(bytes) === cid) return bytes;
    throw mismatch(cid);
  }, signal);
}

/** Resolves when all blocks are there, or none has come for long. Rejects when the signal is aborted. */
async function filled(
  deps: FetchManifestDeps,
  cid: ArtifactCid,
  { membership, storage }: ManifestSwarm,
  signal: AbortSignal,
): Promise<void> {
  const chunksCount = storage.blocks.chunkBytes.length;
  const announcing = startAnnouncing({ ...deps, membership }, { cid, chunksCount });
  const over = new AbortController();
  const done = membership.done.finally(() => over.abort());
  const either = AbortSignal.any([signal, over.signal]);
  try {
    for (let stillMs = 0; stillMs < manifestStillMsMax && !either.aborted;) {
      await sleep(manifestStillMsMax - stillMs, undefined, { signal: either }).catch(
        () => undefined,
      );
      stillMs = membership.progress().stillMs;
    }
    signal.throwIfAborted();
    if (over.signal.aborted) await done;
  } finally {
    done.catch(() => undefined);
    await announcing.stop();
  }
}

/** One whose bytes are here; others take its blocks from this host when it is a long one. */
function fetched(
  { node }: Pick<FetchManifestDeps, "node">,
  request: ManifestRequest,
  encoded: Uint8Array,
  manifest: Manifest = decodeManifest(encoded),
): FetchedManifest {
  if (!isInBlocks(encoded.length)) return served(manifest, request.directory);
  const storage = new ManifestStorage(blocksOf(encoded), encoded);
  return served(manifest, request.directory, joinManifestSwarm(node, partOf(request), storage));
}

function served(manifest: Manifest, directory: string, swarm?: ManifestSwarm): FetchedManifest {
  return {
    manifest,
    onDisk: () => swarm?.storage.moveTo(join(directory, manifestName)),
    close: async () => swarm?.membership.leave(),
  };
}

/** Ahead of the artifact's own chunks, which nobody can ask for before. */
function partOf({ cid, priority }: Pick<ManifestRequest, "cid" | "priority">): {
  readonly partOf: ArtifactCid;
  readonly priority: number;
} {
  return { partOf: cid, priority: priority + 1 };
}

function mismatch(cid: ArtifactCid, details?: { readonly reason: string }): ShoalError {
  return remoteError("manifest_mismatch", `a seeder sent another manifest than ${cid}`, details);
}
