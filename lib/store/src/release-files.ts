// An artifact in a folder of its own, from the first chunk that arrives until it is removed. Chunks are
// written once, straight into the files of `<dir>/tree`, and read back from there for other hosts.
//
//   <dir>/manifest   the encoded manifest
//   <dir>/progress   while it isn't whole: which chunks are in place and synced
//   <dir>/sealed     once it is whole: how each file looked then
//   <dir>/tree       the files
//
// One process at a time writes to a folder. It may be killed at any moment: what `progress` says was
// synced before it was said; after a crash of the machine it is hashed again. Bytes are checked by
// whoever brings them; here they are checked again only when a file no longer looks as it was sealed.
import { lstat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { decodeCid } from "@shoal/core/cid";
import { encodeManifest, manifestCid } from "@shoal/core/content/manifest-codec";
import { chunkHashOf, type Manifest } from "@shoal/core/content/manifest";
import { digest, digestEquals } from "@shoal/core/digest";
import { assert, ShoalError } from "@shoal/core/error";
import type { ArtifactCid } from "@shoal/core/ids";
import type { Bytes, ChunkIndex } from "@shoal/core/units";
import { forEachInLanes } from "./bounded-lanes.ts";
import { ignoreMissing, makeFolder, syncFolder, writeDurably } from "./durable-file.ts";
import { cloneFile } from "./clone-file.ts";
import { FileRanges } from "./file-ranges.ts";
import { HeldChunks } from "./held-chunks.ts";
import {
  fileMarkBytes,
  cloneName,
  manifestName,
  markOf,
  progressName,
  readProgress,
  readReleaseManifest,
  readSealed,
  sealedName,
  treeName,
  writeProgress,
  writeSealed,
} from "./release-records.ts";
import { checkRoom, readBootId } from "./machine-facts.ts";
import { isDamage, withdrawn } from "./release-damage.ts";
import { TreeFiles } from "./tree-files.ts";
import { findWrongChunks } from "./wrong-chunks.ts";
import { checkTree, finishTree, layOutTree, removeTree, type TreeProblem } from "./tree-layout.ts";

export interface ReleaseFilesConfig {
  /** Names this boot of the machine; by default what Linux says. Empty: every unclean end is hashed again. */
  readonly bootId?: string;
  /** Of the free space, what others will need. */
  readonly reservedBytes?: Bytes;
  /** Called when a chunk of a sealed release turned out to be wrong as it was read. */
  readonly onWithdrawn?: () => void;
}

/** What `verify` found wrong; nothing when both lists are empty. */
export interface ReleaseCheck {
  readonly problems: readonly TreeProblem[];
  /** Chunks whose bytes aren't what they should be. They are withdrawn. */
  readonly wrongChunks: readonly ChunkIndex[];
}

const syncLanesCount = 8;

/**
 * Opens or resumes the folder of a release; makes it when it isn't there. Throws `release_mismatch` when
 * another artifact is in it, `disk_too_small` when what is missing doesn't fit.
 */
export async function openReleaseFiles(
  dir: string,
  manifest: Manifest,
  config: ReleaseFilesConfig = {},
): Promise<ReleaseFiles> {
  const encoded = encodeManifest(manifest);
  const cid = manifestCid(encoded);
  const before = await readReleaseManifest(dir);
  if (before !== undefined && manifestCid(before.encoded) !== cid) {
    throw new ShoalError("release_mismatch", `another artifact than ${cid} is in ${dir}`, {
      blame: "local",
    });
  }
  if (before === undefined) {
    // Hosts that are woken at once on one disk wait for its syncs most of all. The folder itself is synced
    // with the first progress, below: neither file means anything without the other.
    const syncAbove = await makeFolder(dir, 0o755);
    const path = join(dir, manifestName);
    await Promise.all([syncAbove(), writeDurably(path, [encoded], { syncsFolder: false })]);
  }
  const files = new ReleaseFiles(dir, manifest, cid, {
    bootId: config.bootId ?? (await readBootId()),
    reservedBytes: config.reservedBytes ?? 0,
    onWithdrawn: config.onWithdrawn ?? (() => {}),
  });
  try {
    await files.load();
    return files;
  } catch (error) {
    await files.close().catch(() => {});
    throw error;
  }
}

/** Removes a release's folder, whatever state it is in. Files that are open stay readable to who has them. */
export async function removeReleaseFiles(dir: string): Promise<void> {
  // First what says that the release is whole: half a tree must not be taken for one.
  for (const name of [sealedName, progressName]) await unlink(join(dir, name)).catch(ignoreMissing);
  await removeTree(dir);
}

export class ReleaseFiles {
  readonly cid: ArtifactCid;
  readonly manifest: Manifest;
  /** The folder with the artifact's files: what a release runs in. */
  readonly treePath: string;
  readonly #dir: string;
  readonly #config: Required<ReleaseFilesConfig>;
  readonly #manifestHash: Uint8Array;
  readonly #ranges: FileRanges;
  #held: HeldChunks;
  #files: TreeFiles;
  /** While it isn't sealed: files written to since the last checkpoint began. */
  #dirty: Set<number> = new Set();
  /** Once it is sealed: the mark of each file. */
  #marks: Uint8Array | undefined;
  /** Checkpoints and sealing, one after another. */
  #tail: Promise<void> = Promise.resolve();

  constructor(
    dir: string,
    manifest: Manifest,
    cid: ArtifactCid,
    config: Required<ReleaseFilesConfig>,
  ) {
    this.cid = cid;
    this.manifest = manifest;
    this.treePath = join(dir, treeName);
    this.#dir = dir;
    this.#config = config;
    this.#manifestHash = decodeCid(cid);
    this.#ranges = new FileRanges(manifest);
    this.#held = new HeldChunks(manifest.chunkBytes);
    this.#files = new TreeFiles(this.treePath, this.#ranges, "write");
  }

  /** Whether the tree is whole and final. A chunk may have been withdrawn since. */
  get isSealed(): boolean {
    return this.#marks !== undefined;
  }

  /** Whether every chunk is in place. */
  get isComplete(): boolean {
    return this.#held.isFull;
  }

  get heldCount(): number {
    return this.#held.count;
  }

  get heldBytes(): Bytes {
    return this.#held.bytes;
  }

  holds(chunk: ChunkIndex): boolean {
    return this.#held.has(chunk);
  }

  /** The chunks in place, bit i of byte i >> 3; a copy. */
  heldChunks(): Uint8Array {
    return this.#held.toBits();
  }

  /** The chunks that aren't in place, in order; it may change while it is walked through. */
  missingChunks(): Iterable<ChunkIndex> {
    return this.#held.missing();
  }

  hashOf(chunk: ChunkIndex): Uint8Array {
    return chunkHashOf(this.manifest, chunk);
  }

  /** Where in a block memory for a run should begin, so that it is written without a copy. */
  phaseOf(firstChunk: ChunkIndex, count: number): Bytes {
    return this.#ranges.phaseOf(firstChunk, count);
  }

  /**
   * Writes a chunk whose hash the caller has verified. It can be read when this resolves, and outlasts a
   * crash after the next `checkpoint`.
   */
  async write(chunk: ChunkIndex, bytes: Uint8Array): Promise<void> {
    assert(!this.isSealed, "a sealed release isn't written to");
    if (!this.#held.has(chunk)) await this.writeRun(chunk, 1, bytes);
  }

  /** The same for a run of chunks, whether or not some are in place already. */
  async writeRun(firstChunk: ChunkIndex, count: number, bytes: Uint8Array): Promise<void> {
    assert(!this.isSealed, "a sealed release isn't written to");
    assert(bytes.length === this.#ranges.bytesOf(firstChunk, count), "a chunk has its size");
    const ranges = this.#ranges.rangesOf(firstChunk, count);
    await this.#files.write(ranges, bytes);
    for (const { file } of ranges) this.#dirty.add(file);
    for (let chunk = firstChunk; chunk < firstChunk + count; chunk += 1) this.#held.add(chunk);
  }

  /**
   * Replaces a file of which no chunk is held by a clone of another one, and holds each chunk in it that
   * is right. Nothing else may be written meanwhile. Answers the bytes of those chunks, or why not.
   */
  async cloneFile(file: number, from: string): Promise<Bytes | "gone" | "unable"> {
    assert(!this.isSealed, "a sealed release isn't written to");
    const entry = this.#ranges.files[file];
    assert(entry !== undefined, `no file ${file}`);
    await this.#files.forget(file);
    const aside = join(this.#dir, cloneName);
    await unlink(aside).catch(ignoreMissing);
    const cloned = await cloneFile(from, join(this.treePath, entry.path), aside);
    if (cloned !== "cloned") return cloned;
    this.#dirty.add(file);
    const before = this.#held.bytes;
    const chunks = this.#ranges.chunksWithin(file);
    for (const chunk of chunks) this.#held.add(chunk);
    await this.#rehash(chunks);
    return this.#held.bytes - before;
  }

  /**
   * Fills `bytes` with a run of chunks, all of which must be held. Throws `chunk_withdrawn` when one
   * isn't, or is found to be wrong because its file was changed after sealing; it isn't held any more.
   */
  async readRun(firstChunk: ChunkIndex, count: number, bytes: Uint8Array): Promise<void> {
    assert(bytes.length === this.#ranges.bytesOf(firstChunk, count), "a run has its size");
    for (let chunk = firstChunk; chunk < firstChunk + count; chunk += 1) {
      if (!this.#held.has(chunk)) throw withdrawn(this.cid, chunk);
    }
    let isSuspect = false;
    try {
      const ranges = this.#ranges.rangesOf(firstChunk, count);
      await this.#files.read(ranges, bytes, async (file, handle) => {
        // Before sealing nobody but us has a reason to touch the files.
        if (!this.isSealed) return;
        isSuspect ||= !this.#isAsSealed(file, markOf(await handle.stat({ bigint: true })));
      });
    } catch (cause) {
      if (!isDamage(cause)) throw cause;
      // A file is gone, too short or unreadable: all of the run is in doubt.
      for (let chunk = firstChunk; chunk < firstChunk + count; chunk += 1) this.#held.remove(chunk);
      if (this.isSealed) this.#config.onWithdrawn();
      throw withdrawn(this.cid, firstChunk, cause);
    }
    if (!isSuspect) return;
    const wrong = this.#split(firstChunk, count, bytes).flatMap((part, index) =>
      digestEquals(digest(part), this.hashOf(firstChunk + index)) ? [] : [firstChunk + index],
    );
    if (wrong[0] === undefined) return;
    for (const chunk of wrong) this.#held.remove(chunk);
    this.#config.onWithdrawn();
    throw withdrawn(this.cid, wrong[0]);
  }

  /**
   * Syncs what was written and records it: it outlasts any crash from then on. Each sync empties the disk's own
   * cache, for which all that is written meanwhile waits: of an update of 10 GiB that takes 45 s without any, one
   * every GiB cost 15 s more.
   */
  async checkpoint(): Promise<void> {
    return this.#inTurn(() => this.#checkpoint(false));
  }

  /**
   * Makes the tree final: links, modes, everything durable. Throws `release_incomplete` while chunks are
   * missing. May be called again.
   */
  async seal(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.isSealed) return;
      if (!this.isComplete) {
        throw new ShoalError("release_incomplete", `${this.cid} isn't complete`, {
          blame: "local",
        });
      }
      await this.#checkpoint(false);
      await this.#files.close();
      await finishTree(this.treePath, this.manifest);
      this.#files = new TreeFiles(this.treePath, this.#ranges, "read");
      const marks = await this.#readMarks();
      await writeSealed(this.#dir, this.#manifestHash, marks);
      await unlink(join(this.#dir, progressName)).catch(ignoreMissing);
      await syncFolder(this.#dir);
      this.#marks = marks;
    });
  }

  /** Reads and hashes everything that should be there. Chunks that are wrong are withdrawn. */
  async verify(): Promise<ReleaseCheck> {
    const problems = this.isSealed ? await checkTree(this.treePath, this.manifest) : [];
    const wrongChunks = await this.#rehash(this.#held.held());
    return { problems, wrongChunks };
  }

  /** Records where it stands and closes all files; nothing may be going on. */
  async close(): Promise<void> {
    await this.#inTurn(async () => {
      try {
        await this.#checkpoint(true);
      } finally {
        await this.#files.close();
      }
    });
  }

  /** Called once, by `openReleaseFiles`. */
  async load(): Promise<void> {
    this.#marks = await readSealed(this.#dir, this.#manifestHash, this.#ranges.files.length);
    if (this.#marks !== undefined) {
      this.#files = new TreeFiles(this.treePath, this.#ranges, "read");
      this.#held = HeldChunks.all(this.manifest.chunkBytes);
      return;
    }
    const progress = await readProgress(this.#dir, this.#manifestHash, this.#config.bootId);
    const claimed = new HeldChunks(this.manifest.chunkBytes, progress?.held);
    await checkRoom(this.#dir, this.manifest.bytes - claimed.bytes, this.#config.reservedBytes);
    const fresh = await layOutTree(this.treePath, this.manifest, this.#ranges.files);
    for (const file of fresh) {
      const { firstChunk, count } = this.#ranges.chunksOf(file);
      for (let chunk = firstChunk; chunk < firstChunk + count; chunk += 1) claimed.remove(chunk);
    }
    this.#held = claimed;
    if (progress?.isTrusted === false) await this.#rehash(claimed.held());
    // From now on a crash is told from a proper end.
    await this.#checkpoint(false);
  }

  async #checkpoint(isClosed: boolean): Promise<void> {
    if (this.isSealed) return;
    const held = this.heldChunks();
    await this.#sync();
    const { bootId } = this.#config;
    await writeProgress(this.#dir, this.#manifestHash, { held, bootId, isClosed });
  }

  async #sync(): Promise<void> {
    const dirty = this.#dirty;
    this.#dirty = new Set();
    try {
      await forEachInLanes(dirty, syncLanesCount, (file) =>
        this.#files.use(file, (handle) => handle.datasync()),
      );
    } catch (error) {
      for (const file of dirty) this.#dirty.add(file);
      throw error;
    }
  }

  /** Hashes chunks that are held, withdraws the wrong ones, and answers them in order. */
  async #rehash(chunks: Iterable<ChunkIndex>): Promise<ChunkIndex[]> {
    const tree = { files: this.#files, ranges: this.#ranges };
    const wrong = await findWrongChunks(this.manifest, tree, chunks);
    for (const chunk of wrong) this.#held.remove(chunk);
    return wrong;
  }

  async #readMarks(): Promise<Uint8Array> {
    const marks = new Uint8Array(this.#ranges.files.length * fileMarkBytes);
    await forEachInLanes(this.#ranges.files.entries(), syncLanesCount, async ([file, { path }]) => {
      const found = await lstat(join(this.treePath, path), { bigint: true });
      marks.set(markOf(found), file * fileMarkBytes);
    });
    return marks;
  }

  #isAsSealed(file: number, mark: Uint8Array): boolean {
    const sealed = this.#marks?.subarray(file * fileMarkBytes, (file + 1) * fileMarkBytes);
    return sealed !== undefined && digestEquals(sealed, mark);
  }

  #split(firstChunk: ChunkIndex, count: number, bytes: Uint8Array): Uint8Array[] {
    let offset = 0;
    return Array.from({ length: count }, (_, index) => {
      const start = offset;
      offset += this.manifest.chunkBytes[firstChunk + index] ?? 0;
      return bytes.subarray(start, offset);
    });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const run = this.#tail.then(work);
    this.#tail = run.catch(() => {});
    return run;
  }
}
