// The artifacts of this host: fetches what releases want, the most urgent first and a few at once,
// serves what it has, and removes what nothing wants when there is too much of it.
import type { FetchStatus } from "@shoal/api/seeder";
import { ShoalError } from "@shoal/core/error";
import { isArtifactCid, type ArtifactCid } from "@shoal/core/ids";
import {
  artifactFetchesMax,
  fetchesReportedMax,
  mendAgainMs,
  fetchRetryMs,
  fetchRetryMsMax,
} from "@shoal/core/limits";
import type { Release } from "@shoal/core/rollout/release";
import type { Log } from "@shoal/daemon/log";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { Artifact } from "./artifact.ts";
import type { FetchDeps, FetchRequest } from "./fetch-artifact.ts";
import { FetchRoom } from "./fetch-room.ts";
import { OldArtifacts } from "./old-artifacts.ts";

export interface ArtifactsDeps extends Omit<FetchDeps, "room"> {
  readonly onHeld: (cid: ArtifactCid) => void;
  /** What was held isn't any more. */
  readonly onLost: (cid: ArtifactCid) => void;
  readonly onFailed: (cid: ArtifactCid, code: string, message: string) => void;
  readonly onChange: () => void;
  /** What programs run on, also when no goal names it any more. */
  readonly occupied: () => readonly ArtifactCid[];
  /** Monotonic milliseconds. */
  readonly monotonic: () => number;
  readonly log: Log;
}

export interface ArtifactsConfig {
  /** One folder for each artifact, named by its CID. */
  readonly dir: string;
  /** Bytes of artifacts that nothing wants which are kept to take chunks from. */
  readonly oldBytesMax: number;
  /** Bytes of artifacts that are fetched at once. */
  readonly unfinishedBytesMax: number;
}

export class Artifacts {
  readonly #deps: ArtifactsDeps;
  readonly #config: ArtifactsConfig;
  readonly #old: OldArtifacts;
  readonly #room: FetchRoom;
  /** In the order in which they were first wanted. */
  readonly #artifacts: Map<ArtifactCid, Artifact> = new Map();
  readonly #closing: Set<Promise<void>> = new Set();
  #wanted: readonly Release[] = [];
  #paused: ReadonlySet<ArtifactCid> = new Set();
  /** Fetches of artifacts that were let go since, for reports: a rollout that was halted moved bytes too. */
  #past: readonly FetchStatus[] = [];
  /** When what was served turned out to be wrong last. */
  readonly #mendedAt: Map<ArtifactCid, number> = new Map();
  #reusedBytes = 0;
  #isStopping = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(deps: ArtifactsDeps, config: ArtifactsConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#room = new FetchRoom(config.unfinishedBytesMax);
    this.#old = new OldArtifacts(
      { isInUse: (cid) => this.#isInUse(cid), log: deps.log },
      { dir: config.dir, bytesMax: config.oldBytesMax },
    );
  }

  /** To be called once, before anything is wanted. */
  async load(): Promise<void> {
    await this.#old.load();
  }

  /** What should be on disk, the most urgent first. What isn't named any more is served no longer. */
  want(releases: readonly Release[]): void {
    if (this.#isStopping) return;
    this.#wanted = releases;
    const named = new Set(releases.map(({ artifact }) => artifact));
    for (const [cid, artifact] of this.#artifacts) {
      if (named.has(cid)) continue;
      this.#drop(artifact);
      this.#mendedAt.delete(cid);
    }
    for (const cid of named) {
      if (this.#artifacts.has(cid)) continue;
      this.#add(cid);
      this.#old.touch(cid);
    }
    this.#fetchNext();
    this.#old.removeSoon();
  }

  /**
   * Reads an artifact through again, and mends what is wrong of it; one that nothing wants and nothing
   * runs on is removed. Resolves once that is under way or done: it is held again when it is whole.
   */
  async mend(cid: ArtifactCid): Promise<"mending" | "removed" | "in use"> {
    const artifact = this.#artifacts.get(cid);
    if (artifact === undefined) return this.#old.remove(cid);
    // One that isn't held is being brought here, and read through, anyway.
    if (!artifact.isHeld) return "mending";
    this.#drop(artifact);
    this.#add(cid);
    this.#deps.onLost(cid);
    this.#fetchNext();
    return "mending";
  }

  /** Of these nothing is fetched until they aren't named here any more; what is on disk is served. */
  pause(cids: ReadonlySet<ArtifactCid>): void {
    this.#paused = cids;
    for (const { cid, pausing } of this.#artifacts.values()) pausing.change(cids.has(cid));
    this.#fetchNext();
  }

  get isFetching(): boolean {
    return [...this.#artifacts.values()].some((artifact) => artifact.isFetching);
  }

  isHeld(cid: ArtifactCid): boolean {
    return this.#artifacts.get(cid)?.isHeld === true;
  }

  /** The folder with an artifact's files, whether or not they are there. */
  treePath(cid: ArtifactCid): string {
    return join(this.#config.dir, cid, "tree");
  }

  /** How each artifact came here, the newest first; those that nothing wants any more come last. */
  fetches(): readonly FetchStatus[] {
    const current = [...this.#artifacts.values()].toReversed();
    return [...current.flatMap((each) => each.status() ?? []), ...this.#past];
  }

  /** Bytes that were taken from older releases, since the start. */
  get reusedBytes(): number {
    return this.#reusedBytes;
  }

  /** How far an artifact is, for a person; empty when there is nothing to say. */
  describe(cid: ArtifactCid): string {
    return this.#artifacts.get(cid)?.describe() ?? "";
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#retry);
    for (const artifact of this.#artifacts.values()) this.#drop(artifact);
    await Promise.all(this.#closing);
    await this.#old.stop();
  }

  #isInUse(cid: ArtifactCid): boolean {
    return this.#artifacts.has(cid) || this.#deps.occupied().includes(cid);
  }

  #fetchNext(): void {
    if (this.#isStopping) return;
    const now = this.#deps.monotonic();
    const urgent = [...new Set(this.#wanted.map(({ artifact }) => artifact))]
      .flatMap((cid) => this.#artifacts.get(cid) ?? [])
      .filter((artifact) => !artifact.isHeld && !artifact.isFetching);
    // One that is paused takes nobody's place; when it goes on there may be one more for a while.
    const isBusy = (each: Artifact): boolean => each.isFetching && !each.isPaused;
    const busyCount = (): number => [...this.#artifacts.values()].filter(isBusy).length;
    for (const artifact of urgent) {
      if (artifact.notBefore > now || busyCount() >= artifactFetchesMax) continue;
      void this.#fetch(artifact, urgent.length - urgent.indexOf(artifact));
    }
    clearTimeout(this.#retry);
    // Those that are due and got no place are looked at when another fetch ends.
    const later = urgent.filter(({ notBefore }) => notBefore > now).map((each) => each.notBefore);
    if (later.length > 0)
      this.#retry = setTimeout(() => this.#fetchNext(), Math.min(...later) - now);
  }

  /** Never rejects: what went wrong is told, and tried again later. */
  async #fetch(artifact: Artifact, priority: number): Promise<void> {
    const { log, monotonic, onHeld, onChange } = this.#deps;
    const { cid } = artifact;
    const directory = join(this.#config.dir, cid);
    const isCurrent = (): boolean => this.#artifacts.get(cid) === artifact;
    const prepare = async (): Promise<FetchRequest> => {
      // An earlier wish for the same artifact may still be closing its files, or its removal be under way.
      await Promise.all([...this.#closing, this.#old.idle()]);
      const reuseDirectories = await this.#otherDirectories(cid);
      const onWithdrawn = (): void => this.#withdrawn(cid);
      const projects = this.#projectsOf(cid);
      const { pausing } = artifact;
      return { cid, projects, directory, priority, pausing, reuseDirectories, onWithdrawn };
    };
    try {
      const fetched = artifact.fetch({ ...this.#deps, room: this.#room }, prepare, monotonic);
      onChange();
      await fetched;
      log.info({ ...artifact.status(), cid }, "an artifact is here");
      this.#reusedBytes += artifact.status()?.bytesReused ?? 0;
      if (isCurrent()) onHeld(cid);
      if (!this.#deps.occupied().includes(cid)) this.#old.forgetAside(cid);
    } catch (error) {
      if (isCurrent()) await this.#fetchFailed(artifact, directory, error);
    }
    this.#fetchNext();
  }

  async #fetchFailed(artifact: Artifact, directory: string, error: unknown): Promise<void> {
    const { log, monotonic, onFailed, onLost } = this.#deps;
    const { cid } = artifact;
    const { code, message } = explain(error);
    log.warn({ error, cid, code }, "an artifact can't be fetched");
    artifact.failures += 1;
    const pauseMs = Math.min(fetchRetryMsMax, fetchRetryMs * 2 ** Math.min(artifact.failures, 16));
    artifact.notBefore = monotonic() + pauseMs * (0.5 + 0.5 * Math.random());
    onFailed(cid, code, message);
    if (code === "disk_too_small" && (await this.#old.makeRoom())) artifact.notBefore = 0;
    if (code !== "artifact_damaged") return;
    onLost(cid);
    await this.#old.setAside(cid, directory);
    artifact.notBefore = 0;
  }

  /** A program that keeps changing its own files mustn't keep the host busy mending them. */
  #withdrawn(cid: ArtifactCid): void {
    const now = this.#deps.monotonic();
    if (now - (this.#mendedAt.get(cid) ?? Number.NEGATIVE_INFINITY) < mendAgainMs) return;
    this.#mendedAt.set(cid, now);
    this.#deps.log.warn({ cid }, "an artifact was changed on disk; mending it");
    void this.mend(cid);
  }

  #add(cid: ArtifactCid): void {
    const { monotonic } = this.#deps;
    this.#artifacts.set(cid, new Artifact(cid, monotonic(), this.#paused.has(cid)));
  }

  #projectsOf(cid: ArtifactCid): readonly string[] {
    const releases = this.#wanted.filter(({ artifact }) => artifact === cid);
    return [...new Set(releases.map(({ project }) => project))];
  }

  #drop(artifact: Artifact): void {
    this.#artifacts.delete(artifact.cid);
    const status = artifact.status();
    const older = this.#past.filter((past) => past.artifact !== artifact.cid);
    this.#past = [...(status === null ? [] : [status]), ...older].slice(0, fetchesReportedMax);
    const closing = artifact
      .close()
      .catch((error: unknown) => {
        this.#deps.log.warn({ error, cid: artifact.cid }, "can't close an artifact");
      })
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  /** The newest first: it has most in common with what comes next. */
  async #otherDirectories(cid: ArtifactCid): Promise<readonly string[]> {
    const names = await readdir(this.#config.dir);
    const order = [...this.#artifacts.keys()];
    const others = names
      .filter((name) => name !== cid && isArtifactCid(name))
      .toSorted((a, b) => order.indexOf(b) - order.indexOf(a))
      .map((name) => join(this.#config.dir, name));
    return [...this.#old.asideOf(cid), ...others];
  }
}

function explain(error: unknown): { readonly code: string; readonly message: string } {
  if (error instanceof ShoalError) return error;
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOSPC" || code === "EDQUOT")
    return { code: "disk_full", message: "the disk is full" };
  return { code: "fetch_failed", message: error instanceof Error ? error.message : String(error) };
}
