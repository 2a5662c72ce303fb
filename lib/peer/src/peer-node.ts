// What a seeder and a host agent see of the swarm: join an artifact with a storage, name candidates,
// read progress. How peers find out about pieces and move them is behind `createPeerNode` (node.ts).
import type { ChunkList } from "@shoal/core/content/manifest";
import type { ArtifactCid, PeerId } from "@shoal/core/ids";
import type { BudgetConfig } from "./budgets.ts";
import type { TrafficTotals } from "./traffic.ts";
import type { Waits } from "@shoal/core/swarm/waits-for";

/** Where an artifact's chunks are read from and written to; one for each artifact that a node joins. */
export interface ArtifactStorage {
  /** Chunks held and verified when the node joins: bit i % 8 of byte i >> 3 is chunk i. */
  heldChunks(): Uint8Array;
  /**
   * Fills `into` with `count` chunks from `firstChunk` on, each held; it is exactly as long as they are.
   * Rejects when one can't be read any more, or isn't what it was.
   */
  readRun(firstChunk: number, count: number, into: Uint8Array): Promise<void>;
  /**
   * Stores a run of chunks whose hashes were checked. They are told to others, and `bytes` used for
   * something else, once this resolves.
   */
  writeRun(firstChunk: number, count: number, bytes: Uint8Array): Promise<void>;
}

/** A member of the swarm that somebody told us about. */
export interface PeerCandidate {
  readonly peerId: PeerId;
  readonly swarmAddresses: readonly string[];
  readonly zone: string;
  readonly seeder: boolean;
}

export interface JoinOptions {
  /** Names the swarm; the artifact's own CID, unless it is a swarm of its manifest's blocks. */
  readonly cid: ArtifactCid;
  /** Who may take part in the swarm is who may have this artifact; `cid` when absent. */
  readonly partOf?: ArtifactCid;
  /** The chunks that it moves, as a manifest lists them. */
  readonly manifest: ChunkList;
  readonly storage: ArtifactStorage;
  /**
   * Chunks that aren't held and that the caller brings from elsewhere on this disk, as `heldChunks` lists
   * them: they aren't asked for until it says `reuseFailed` of them.
   */
  readonly reusing?: Uint8Array;
  /** Larger goes first: a rollback's artifact before a prefetched one. */
  readonly priority: number;
  /** As `setPaused`, from the first moment on. */
  readonly paused?: boolean;
}

export interface SwarmProgress {
  readonly chunksHeld: number;
  readonly chunksCount: number;
  /** Verified bytes by the passport role of who sent them. */
  readonly bytesFromSeeders: number;
  readonly bytesFromPeers: number;
  /** Bytes that didn't hash to what was asked for. */
  readonly bytesRefused: number;
  readonly links: number;
  /** For a person: what the artifact waits for; undefined when complete. */
  readonly waits: Waits | undefined;
  /** Since the last chunk was stored, or since the node joined. */
  readonly stillMs: number;
}

/** One artifact that this node fetches or serves. */
export interface Membership {
  /** Adds candidates; ones that are known already cost nothing. */
  addPeers(peers: readonly PeerCandidate[]): void;
  progress(): SwarmProgress;
  /** Stops asking for chunks, and dialing for them, or goes on; others are served as before. */
  setPaused(paused: boolean): void;
  /** Chunks that were being reused are verified and in the storage. */
  reused(firstChunk: number, count: number): void;
  /** Chunks that were being reused aren't there after all. */
  reuseFailed(firstChunk: number, count: number): void;
  /** Resolves when every chunk is held; rejects when the storage fails or the node leaves first. */
  readonly done: Promise<void>;
  /** Stops serving and fetching this artifact. Idempotent. */
  leave(): Promise<void>;
}

export interface PeerNode {
  readonly peerId: PeerId;
  /** Multiaddrs with real ports that others can dial, without the peer id. */
  addresses(): readonly string[];
  join(options: JoinOptions): Membership;
  /** What was moved so far, and what is going on. */
  traffic(): TrafficTotals;
  /** Bytes per second each way from now on; undefined for no limit. */
  setBudgets(budgets: BudgetConfig): void;
  /** Who is linked now: to begin with after a restart, should no seeder answer then. */
  linkedPeers(): readonly PeerCandidate[];
  /**
   * Asks the nodes that this one is or was linked with, and those that they know, for members of an
   * artifact's swarm, and tells them that this node is one. For when no seeder answers: it opens links.
   */
  findPeers(cid: ArtifactCid, signal: AbortSignal): Promise<readonly PeerCandidate[]>;
  stop(): Promise<void>;
}
