// For tests: a swarm in memory, whose members get everything that a test's region has.
import { hasBit } from "@shoal/core/swarm/bitfield";
import type { Waits } from "@shoal/core/swarm/waits-for";
import type { ArtifactCid } from "@shoal/core/ids";
import type { ArtifactStorage, Membership, PeerCandidate, PeerNode } from "@shoal/peer/peer-node";
import type { TestRegion } from "./region.test-kit.ts";

const noPeer: Waits = {
  ...{ reason: "noPeer", piecesMissing: 1, piecesCount: 1, peersLinked: 0, peersKnown: 0 },
  ...{ requests: 0, peers: [] },
};

/** A node whose peers have everything that the region has; `allow` holds back what isn't to come yet. */
export class MemorySwarm implements Pick<PeerNode, "join" | "addresses" | "findPeers"> {
  readonly #region: TestRegion;
  /** Chunks that each membership may still get. */
  allow: number = Number.POSITIVE_INFINITY;
  readonly joined: ArtifactCid[] = [];
  /** What peers are served from, by artifact. */
  readonly storages: Map<ArtifactCid, ArtifactStorage> = new Map();
  readonly left: ArtifactCid[] = [];
  /** The most members at once. */
  atOnceMax = 0;
  #fetching = 0;

  constructor(region: TestRegion) {
    this.#region = region;
  }

  addresses(): readonly string[] {
    return ["/ip4/127.0.0.1/tcp/4001"];
  }

  async findPeers(): Promise<readonly PeerCandidate[]> {
    return [];
  }

  join({
    cid,
    partOf,
    manifest,
    storage,
    reusing = new Uint8Array(0),
    paused = false,
  }: Parameters<PeerNode["join"]>[0]): Membership {
    this.joined.push(cid);
    this.storages.set(cid, storage);
    const has = storage.heldChunks();
    const chunks = [...manifest.chunkBytes.keys()].filter((chunk) => !hasBit(has, chunk));
    const awaited = new Set(chunks.filter((chunk) => hasBit(reusing, chunk)));
    const missing = chunks.filter((chunk) => !awaited.has(chunk));
    let moved = 0;
    let leftCount = chunks.length;
    let bytes = 0;
    let isGone = false;
    let isPaused = paused;
    const deliver = async (): Promise<void> => {
      this.#fetching += 1;
      this.atOnceMax = Math.max(this.atOnceMax, this.#fetching);
      try {
        for (let chunk = missing.shift(); ; chunk = missing.shift()) {
          if (chunk === undefined && awaited.size === 0) return;
          if (chunk === undefined) {
            if (isGone) throw new Error("left");
            await new Promise(setImmediate);
            continue;
          }
          while ((this.allow <= moved || isPaused) && !isGone) await new Promise(setImmediate);
          if (isGone) throw new Error("left");
          const content = this.#region.chunk(partOf ?? cid, chunk, partOf !== undefined);
          await storage.writeRun(chunk, 1, content);
          moved += 1;
          leftCount -= 1;
          bytes += content.length;
        }
      } finally {
        this.#fetching -= 1;
      }
    };
    return {
      addPeers: (_peers: readonly PeerCandidate[]) => undefined,
      progress: () => ({
        chunksHeld: manifest.chunkBytes.length - leftCount,
        chunksCount: manifest.chunkBytes.length,
        bytesFromSeeders: 0,
        bytesFromPeers: bytes,
        bytesRefused: 0,
        links: 1,
        waits: leftCount > 0 ? { ...noPeer, ...(isPaused && { reason: "paused" }) } : undefined,
        stillMs: 0,
      }),
      setPaused: (value) => {
        isPaused = value;
      },
      reused: (firstChunk, count) => {
        for (let at = 0; at < count; at += 1) awaited.delete(firstChunk + at);
        leftCount -= count;
      },
      reuseFailed: (firstChunk, count) => {
        for (let at = 0; at < count; at += 1) {
          awaited.delete(firstChunk + at);
          missing.push(firstChunk + at);
        }
      },
      done: deliver(),
      leave: async () => {
        isGone = true;
        this.left.push(cid);
      },
    };
  }
}
