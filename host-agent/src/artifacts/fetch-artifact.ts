// Brings one artifact to this host: statement verified before anything else, manifest, then both at once: what
// other releases have from this disk, the rest from the swarm; then sealed. What arrived stays: a fetch that
// ended goes on. An artifact that is whole on disk is read through once before it counts.
import type { Envelope } from "@shoal/api/names";
import { ShoalError } from "@shoal/core/error";
import type { ArtifactCid } from "@shoal/core/ids";
import type { Membership, PeerCandidate, PeerNode } from "@shoal/peer/peer-node";
import { keepCheckpoints, pauseFor } from "@shoal/store/checkpointing";
import { openReleaseFiles, type ReleaseFiles } from "@shoal/store/release-files";
import { planReuse } from "@shoal/store/release-reuse";
import { verifyStatement } from "@shoal/trust/statement";
import type { TrustDocument } from "@shoal/trust/trust-document";
import type { Seeders } from "../seeders.ts";
import { startAnnouncing, type Announcing } from "./announcing.ts";
import { fetchManifest } from "./fetch-manifest.ts";
import type { FetchRoom } from "./fetch-room.ts";
import { obeyPauses, type Pausing } from "./pausing.ts";
import { startReusing, type Reusing } from "./reusing.ts";

export interface FetchDeps {
  readonly node: Pick<PeerNode, "join" | "addresses" | "findPeers">;
  /** Peers that this host was linked with before. */
  readonly knownPeers: () => readonly PeerCandidate[];
  readonly seeders: Pick<Seeders, "ask">;
  /** The statement that came with the goals, if any. */
  readonly statement: (cid: ArtifactCid) => Envelope | undefined;
  readonly trust: () => TrustDocument;
  readonly room: FetchRoom;
  /** Wall clock: what was signed ends at a date. */
  readonly now: () => number;
}

export interface FetchRequest {
  readonly cid: ArtifactCid;
  /** The projects that goals say it is of: each must have signed for it. */
  readonly projects: readonly string[];
  readonly directory: string;
  readonly priority: number;
  /** Whether a person has paused it. */
  readonly pausing: Pausing;
  /** Folders of other releases whose chunks may be taken, the likeliest first. */
  readonly reuseDirectories: readonly string[];
  /** Called when bytes that were whole and final turned out to be wrong as they were served. */
  readonly onWithdrawn: () => void;
}

/** An artifact that is being fetched or served. */
export interface FetchedArtifact {
  readonly files: ReleaseFiles;
  readonly membership: Membership;
  readonly bytes: number;
  /** Bytes that were taken from other releases on disk so far. */
  readonly bytesReused: () => number;
  readonly reusing: Reusing;
  /** Whether it was whole on disk before. */
  readonly wasHere: boolean;
  /** Gives its room among the unfinished ones to others. Idempotent, and part of `close`. */
  readonly leaveRoom: () => void;
  /** Leaves the swarm and closes the files. Idempotent. */
  close(): Promise<void>;
}

/**
 * Opens the artifact and joins its swarm; `finishArtifact` waits until it is whole. Throws
 * `artifact_damaged` when what is on disk isn't what it was when it was sealed.
 */
export async function beginArtifact(
  deps: FetchDeps,
  request: FetchRequest,
  signal: AbortSignal,
): Promise<FetchedArtifact> {
  const { cid, directory, reuseDirectories, priority, pausing, onWithdrawn } = request;
  for (const project of request.projects) await verifyOrigin(deps, cid, project, signal);
  const fetched = await fetchManifest(deps, request, signal);
  const { manifest } = fetched;
  const reservedBytes = deps.room.missingBytes;
  let files: ReleaseFiles;
  try {
    files = await openReleaseFiles(directory, manifest, { onWithdrawn, reservedBytes });
    fetched.onDisk();
  } catch (error) {
    await fetched.close();
    throw error;
  }
  let leaveRoom: (() => void) | null = null;
  try {
    const wasHere = files.isSealed;
    if (wasHere) await requireUndamaged(files);
    else if (!pausing.isPaused) leaveRoom = await takeRoom(deps.room, files, signal);
    const reuse = await planReuse(files, wasHere ? [] : reuseDirectories, signal);
    signal.throwIfAborted();
    const reusing = reuse.promised;
    const paused = pausing.isPaused;
    const membership = deps.node.join({ cid, manifest, storage: files, reusing, priority, paused });
    // Whoever waits for it hears of its end; a fetch that is given up doesn't.
    membership.done.catch(() => undefined);
    const chunksCount = manifest.chunkBytes.length;
    const announcing = startAnnouncing({ ...deps, membership }, { cid, chunksCount });
    const enter = (own: AbortSignal): Promise<() => void> => takeRoom(deps.room, files, own);
    const leaveAll = wasHere
      ? (): void => {}
      : obeyPauses({ pausing, membership, enter }, leaveRoom);
    const copying = startReusing(reuse, membership);
    const close = closeOnce({ announcing, membership, reusing: copying, files }, async () => {
      leaveAll();
      await fetched.close();
    });
    const { bytes } = manifest;
    const of = { bytes, bytesReused: () => reuse.bytes, wasHere };
    return { files, membership, reusing: copying, ...of, leaveRoom: leaveAll, close };
  } catch (error) {
    leaveRoom?.();
    await fetched.close();
    await files.close().catch(() => undefined); // The first error says what is wrong.
    throw error;
  }
}

/** Resolves when the artifact is whole, every chunk verified, and final on disk. */
export async function finishArtifact(
  { files, membership, reusing, leaveRoom }: FetchedArtifact,
  signal: AbortSignal,
): Promise<void> {
  if (files.isSealed) return;
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  const over = new AbortController();
  const checkpoints = keepCheckpoints({ files, pause: pauseFor }, over.signal);
  try {
    await Promise.race([Promise.all([membership.done, reusing.done]), aborted.promise]);
  } finally {
    over.abort();
    await checkpoints;
    signal.removeEventListener("abort", abort);
  }
  await files.seal();
  leaveRoom();
}

function takeRoom(room: FetchRoom, files: ReleaseFiles, signal: AbortSignal): Promise<() => void> {
  const { bytes } = files.manifest;
  return room.take(bytes, () => bytes - files.heldBytes, signal);
}

interface Closing extends Pick<FetchedArtifact, "membership" | "reusing" | "files"> {
  readonly announcing: Announcing;
}

function closeOnce(
  { announcing, membership, reusing, files }: Closing,
  leaveAll: () => Promise<void>,
): () => Promise<void> {
  let closing: Promise<void> | undefined;
  return () => {
    closing ??= (async () => {
      await announcing.stop();
      await membership.leave();
      await reusing.stop();
      await files.close();
      await leaveAll();
    })();
    return closing;
  };
}

/** Nothing of an artifact is fetched before somebody trusted has signed what it is. */
async function verifyOrigin(
  { statement, trust, now, seeders }: FetchDeps,
  cid: ArtifactCid,
  project: string,
  signal: AbortSignal,
): Promise<void> {
  const verify = (envelope: Envelope): unknown =>
    verifyStatement(envelope, trust(), { nowMs: now(), project, artifact: cid });
  const known = statement(cid);
  try {
    if (known !== undefined) {
      verify(known);
      return;
    }
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    // A seeder that gave a false one may not be the only one.
  }
  await seeders.ask(async (client) => verify(await client.getStatement(cid, { signal })), signal);
}

async function requireUndamaged(files: ReleaseFiles): Promise<void> {
  const { problems, wrongChunks } = await files.verify();
  if (problems.length === 0 && wrongChunks.length === 0) return;
  throw new ShoalError(
    "artifact_damaged",
    `${files.cid} isn't what it was: ${wrongChunks.length} chunks and ${problems.length} entries are wrong`,
    { blame: "environment", retryable: true, details: { problems: problems.slice(0, 20) } },
  );
}
