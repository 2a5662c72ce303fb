// Artifacts on disk that no goal names any more: kept for their chunks within a budget, removed beyond
// it, the longest unnamed first; and damaged ones, set aside so that what is still good of them is
// reused. One removal at a time, and never of something that is in use.
import { mkdir, readdir, rename, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { artifactsToRemove, type ArtifactOnDisk } from "@shoal/core/activation/retention";
import { isArtifactCid, type ArtifactCid } from "@shoal/core/ids";
import { oldArtifactsMax } from "@shoal/core/limits";
import type { Bytes } from "@shoal/core/units";
import type { Log } from "@shoal/daemon/log";
import { removeReleaseFiles } from "@shoal/store/release-files";
import { readReleaseManifest } from "@shoal/store/release-records";

export interface OldArtifactsDeps {
  readonly isInUse: (cid: ArtifactCid) => boolean;
  readonly log: Log;
}

export interface OldArtifactsConfig {
  readonly dir: string;
  readonly bytesMax: Bytes;
}

/** A folder beside the artifacts, on the same file system. */
const asideName = "damaged";

export class OldArtifacts {
  readonly #deps: OldArtifactsDeps;
  readonly #config: OldArtifactsConfig;
  #aside: ReadonlySet<ArtifactCid> = new Set();
  #working: Promise<void> = Promise.resolve();
  #isAsked = false;
  #isStopping = false;

  constructor(deps: OldArtifactsDeps, config: OldArtifactsConfig) {
    this.#deps = deps;
    this.#config = config;
  }

  async load(): Promise<void> {
    const { dir } = this.#config;
    // Programs of another user run in there.
    await mkdir(dir, { recursive: true, mode: 0o755 });
    await mkdir(join(dir, asideName), { recursive: true, mode: 0o700 });
    this.#aside = new Set((await readdir(join(dir, asideName))).filter(isArtifactCid));
  }

  /** A goal names it from now on, so it is the last to go once none does. */
  touch(cid: ArtifactCid): void {
    const now = new Date();
    // Not there yet: it is made soon, and new then.
    utimes(join(this.#config.dir, cid), now, now).catch(() => undefined);
  }

  /** Removes what is beyond the budget, when nothing else is being removed. */
  removeSoon(): void {
    if (this.#isAsked || this.#isStopping) return;
    this.#isAsked = true;
    void this.#inTurn(async () => {
      this.#isAsked = false;
      await this.#removeBeyond(this.#config.bytesMax);
      for (const cid of this.#aside) if (!this.#deps.isInUse(cid)) await this.#removeAside(cid);
    });
  }

  /** Removes all that isn't in use. Answers whether there was anything. */
  async makeRoom(): Promise<boolean> {
    let removed = 0;
    await this.#inTurn(async () => {
      removed = await this.#removeBeyond(0);
      for (const cid of this.#aside) removed += await this.#removeAside(cid);
    });
    return removed > 0;
  }

  /** Removes one, unless it is in use. */
  async remove(cid: ArtifactCid): Promise<"removed" | "in use"> {
    let answer: "removed" | "in use" = "in use";
    await this.#inTurn(async () => {
      if (this.#deps.isInUse(cid)) return;
      await removeReleaseFiles(join(this.#config.dir, cid));
      answer = "removed";
    });
    return answer;
  }

  /** Moves a damaged artifact out of the way; programs that run in it keep what they have open. */
  async setAside(cid: ArtifactCid, directory: string): Promise<void> {
    await this.#inTurn(async () => {
      await this.#removeAside(cid);
      await rename(directory, this.#asidePath(cid));
      this.#aside = new Set([...this.#aside, cid]);
    });
  }

  /** The artifact is whole again, and nothing runs in the damaged one. */
  forgetAside(cid: ArtifactCid): void {
    if (!this.#aside.has(cid)) return;
    void this.#inTurn(async () => {
      await this.#removeAside(cid);
    });
  }

  /** Folders of damaged artifacts to take chunks from first. */
  asideOf(cid: ArtifactCid): readonly string[] {
    return this.#aside.has(cid) ? [this.#asidePath(cid)] : [];
  }

  /** Resolves when nothing is being removed. */
  idle(): Promise<void> {
    return this.#working;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#working;
  }

  #asidePath(cid: ArtifactCid): string {
    return join(this.#config.dir, asideName, cid);
  }

  async #removeBeyond(oldBytesMax: Bytes): Promise<number> {
    const { isInUse, log } = this.#deps;
    const onDisk = await this.#onDisk();
    const inUse = new Set(onDisk.map(({ cid }) => cid).filter(isInUse));
    const rules = { inUse, oldBytesMax, oldCountMax: oldBytesMax === 0 ? 0 : oldArtifactsMax };
    let removed = 0;
    for (const cid of artifactsToRemove(onDisk, rules)) {
      // It may have been named since.
      if (isInUse(cid) || this.#isStopping) continue;
      await removeReleaseFiles(join(this.#config.dir, cid));
      removed += 1;
      log.info({ cid }, "removed an artifact that nothing wants");
    }
    return removed;
  }

  async #removeAside(cid: ArtifactCid): Promise<number> {
    if (!this.#aside.has(cid)) return 0;
    await removeReleaseFiles(this.#asidePath(cid));
    this.#aside = new Set([...this.#aside].filter((other) => other !== cid));
    return 1;
  }

  /** A folder that isn't named like an artifact is left alone. */
  async #onDisk(): Promise<readonly ArtifactOnDisk[]> {
    const found: ArtifactOnDisk[] = [];
    for (const cid of (await readdir(this.#config.dir)).filter(isArtifactCid)) {
      const path = join(this.#config.dir, cid);
      const stats = await stat(path).catch(() => null);
      if (stats === null) continue;
      const bytes = (await readReleaseManifest(path))?.manifest.bytes ?? 0;
      found.push({ cid, bytes, namedAt: stats.mtimeMs });
    }
    return found;
  }

  /** One after another; a failure is logged and stops nothing that comes later. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#working = this.#working.then(work).catch((error: unknown) => {
      this.#deps.log.warn({ error }, "can't remove old artifacts");
    });
    return this.#working;
  }
}
