// What the region holds: chunks, and whole artifacts made of them. An artifact is held once all its
// chunks, its manifest and its statement are durable; the record of that is written last, so that
// a crash at any moment leaves it held or not, never half. What a crash leaves behind is collected.
import type { Envelope } from "@shoal/api/names";
import { decodeManifest, manifestCid } from "@shoal/core/content/manifest-codec";
import type { Manifest } from "@shoal/core/content/manifest";
import type { ManifestBlocks } from "@shoal/core/content/manifest-blocks";
import { toHex } from "@shoal/core/digest";
import { ShoalError, remoteError } from "@shoal/core/error";
import type { ArtifactCid } from "@shoal/core/ids";
import { manifestCacheBytesMax } from "@shoal/core/limits";
import type { ChunkStore } from "@shoal/store/chunk-store";
import { errorCode } from "@shoal/store/durable-file";
import type { ArtifactFiles } from "./artifact-files.ts";
import { eachHash } from "./hash-list.ts";
import { ManifestCache } from "./manifest-cache.ts";
import { NamedChunks } from "./named-chunks.ts";

export interface HeldArtifact {
  readonly cid: ArtifactCid;
  readonly project: string;
  readonly manifest: Manifest;
  readonly statement: Envelope;
}

export class RegionStore {
  readonly chunks: ChunkStore;
  readonly #files: ArtifactFiles;
  readonly #manifests: ManifestCache;
  readonly #held: Map<ArtifactCid, HeldArtifact> = new Map();
  readonly #named: NamedChunks = new NamedChunks();
  /** Artifacts that somebody put, or put again, since their grace began. */
  readonly #touched: Set<ArtifactCid> = new Set();
  /** Puts and deletions of artifacts are done one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #edition = 0;

  constructor(chunks: ChunkStore, files: ArtifactFiles) {
    this.chunks = chunks;
    this.#files = files;
    this.#manifests = new ManifestCache((cid) => files.manifest(cid), manifestCacheBytesMax);
  }

  /** Reads what was held before; an artifact that lost a chunk isn't held any more and is pulled anew. */
  async load(): Promise<{ readonly held: number; readonly damaged: readonly ArtifactCid[] }> {
    const damaged: ArtifactCid[] = [];
    for (const { cid, project } of await this.#files.held()) {
      const artifact = await this.#read(cid, project);
      if (artifact === undefined) damaged.push(cid);
      else this.#add(artifact);
    }
    return { held: this.#held.size, damaged };
  }

  held(): readonly HeldArtifact[] {
    return [...this.#held.values()];
  }

  /** Changes with what is held. */
  edition(): number {
    return this.#edition;
  }

  get(cid: ArtifactCid): HeldArtifact | undefined {
    return this.#held.get(cid);
  }

  /** The manifest as it was sent, also of an artifact that is still on its way. */
  manifestBytes(cid: ArtifactCid): Promise<Uint8Array | undefined> {
    return this.#manifests.get(cid);
  }

  /** What the manifest travels in to hosts; undefined for one that they take whole, or that isn't there. */
  manifestBlocks(cid: ArtifactCid): Promise<ManifestBlocks | undefined> {
    return this.#manifests.blocks(cid);
  }

  /** Whether a held artifact of this project names the chunk, and it is there. */
  projectHas(project: string, hash: Uint8Array): boolean {
    return this.#named.isOfProject(project, hash) && this.chunks.has(hash);
  }

  /** Whether an artifact that is held or on its way names the chunk: what a collection must keep. */
  isNamed(hash: Uint8Array): boolean {
    return this.#named.isNamed(hash);
  }

  /** Keeps the chunks of an artifact that is on its way from being collected, until the end is called. */
  expect(manifest: Manifest): () => void {
    return this.#named.expect(manifest);
  }

  /**
   * Checks that bytes are the artifact's manifest and that every chunk is durably here.
   * Throws `manifest_invalid`, `manifest_mismatch`, `chunks_missing` or `store_full`.
   */
  async putManifest(
    cid: ArtifactCid,
    bytes: Uint8Array,
    isAllowed: (hash: Uint8Array) => boolean,
  ): Promise<void> {
    const manifest = checkedManifest(cid, bytes);
    await this.chunks.flush().catch((error: unknown) => {
      throw explainFlush(error);
    });
    const lacking = new Set(
      [...eachHash(this.chunks.missing(manifest.chunkHashes))].map((hash) => toHex(hash)),
    );
    for (const hash of eachHash(manifest.chunkHashes))
      if (!isAllowed(hash)) lacking.add(toHex(hash));
    if (lacking.size > 0) throw chunksMissing(cid, lacking.size);
    await this.#inTurn(async () => {
      this.#touched.add(cid);
      await this.#files.putManifest(cid, bytes);
    });
  }

  /**
   * Makes an artifact held whose manifest was put before, or gives a held one its newest statement.
   * The statement is verified by the caller. Throws `chunks_missing` or `artifact_project_conflict`.
   */
  hold(cid: ArtifactCid, project: string, statement: Envelope): Promise<HeldArtifact> {
    return this.#inTurn(async () => {
      const known = this.#held.get(cid);
      if (known !== undefined && known.project !== project) throw projectConflict(cid);
      if (known === undefined && (await this.#files.manifest(cid)) === undefined)
        throw remoteError("chunks_missing", `The manifest of ${cid} hasn't arrived.`);
      this.#touched.add(cid);
      await this.#files.putStatement(cid, statement);
      const artifact = await this.#read(cid, project);
      if (artifact === undefined) throw chunksMissing(cid, 1);
      if (known === undefined) await this.#files.putHeld(cid, project);
      this.#add(artifact);
      return artifact;
    });
  }

  /** Whoever puts the artifact from now on keeps it from the next `drop`. */
  beginGrace(cid: ArtifactCid): void {
    this.#touched.delete(cid);
  }

  /** Lets go of an artifact, or of what is left of one. Answers false when it was put since its grace began. */
  drop(cid: ArtifactCid): Promise<boolean> {
    return this.#inTurn(async () => {
      if (this.#touched.delete(cid)) return false;
      // Gone from memory first: nobody is told of an artifact that is going.
      this.#remove(cid);
      await this.#files.delete(cid);
      return true;
    });
  }

  /** Artifacts of which there are files, but which aren't held: an upload or a pull that didn't end. */
  async unfinished(): Promise<readonly ArtifactCid[]> {
    return [...(await this.#files.all())].filter((cid) => !this.#held.has(cid));
  }

  /** Stops holding artifacts of which a chunk turned out to be damaged; they are pulled anew. */
  dropDamaged(): readonly ArtifactCid[] {
    const damaged = this.held()
      .filter(({ manifest }) => this.chunks.missing(manifest.chunkHashes).length > 0)
      .map(({ cid }) => cid);
    for (const cid of damaged) this.#remove(cid);
    return damaged;
  }

  async #read(cid: ArtifactCid, project: string): Promise<HeldArtifact | undefined> {
    const [bytes, statement] = await Promise.all([
      this.#files.manifest(cid),
      this.#files.statement(cid),
    ]);
    if (bytes === undefined || statement === undefined) return undefined;
    if (manifestCid(bytes) !== cid) return undefined;
    const manifest = decodeManifest(bytes);
    if (this.chunks.missing(manifest.chunkHashes).length > 0) return undefined;
    return { cid, project, manifest, statement };
  }

  #add(artifact: HeldArtifact): void {
    const known = this.#held.has(artifact.cid);
    this.#held.set(artifact.cid, artifact);
    if (!known) this.#named.add(artifact.project, artifact.manifest);
    this.#edition += 1;
  }

  #remove(cid: ArtifactCid): void {
    const artifact = this.#held.get(cid);
    if (artifact === undefined) return;
    this.#held.delete(cid);
    this.#named.remove(artifact.project, artifact.manifest);
    this.#edition += 1;
  }

  #inTurn<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    const turn = this.#last.then(work);
    // Who asked for it has the failure; the next one's turn comes all the same.
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

/** Decodes bytes that claim to be an artifact's manifest. Throws `manifest_invalid` or `manifest_mismatch`. */
export function checkedManifest(cid: ArtifactCid, bytes: Uint8Array): Manifest {
  const manifest = decodeManifest(bytes);
  if (manifestCid(bytes) === cid) return manifest;
  throw remoteError("manifest_mismatch", `These bytes aren't the manifest ${cid}.`);
}

/** A full disk loses the chunks that came last: who sent them hears why, once. */
function explainFlush(cause: unknown): unknown {
  if (!["ENOSPC", "EDQUOT"].includes(errorCode(cause) ?? "")) return cause;
  return new ShoalError("store_full", "The region's store has no disk space left.", {
    blame: "environment",
    hint: "Make room where the seeder keeps its store.",
    cause,
  });
}

function chunksMissing(cid: ArtifactCid, count: number): ShoalError {
  return remoteError("chunks_missing", `At least ${count} chunks of ${cid} haven't arrived.`);
}

/** One statement travels with an artifact, and it names one project. */
function projectConflict(cid: ArtifactCid): ShoalError {
  return new ShoalError(
    "artifact_project_conflict",
    `Another project built ${cid} before, byte for byte.`,
    {
      blame: "remote",
      hint: "Let one project build it for both, or put the project's name into the artifact",
    },
  );
}
