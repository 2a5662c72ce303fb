// Tells a seeder that this host is in an artifact's swarm, and the swarm of the peers that it answers.
// When no seeder answers, the peers of an earlier life and what they know have to do.
import { setTimeout as sleep } from "node:timers/promises";
import type { ArtifactCid } from "@shoal/core/ids";
import { announceMsMax, announceMsMin, announceSoonMs } from "@shoal/core/limits";
import type { Membership, PeerCandidate, PeerNode } from "@shoal/peer/peer-node";
import type { Seeders } from "../seeders.ts";

export interface AnnouncingDeps {
  readonly node: Pick<PeerNode, "addresses" | "findPeers">;
  /** Peers that this host was linked with before. */
  readonly knownPeers: () => readonly PeerCandidate[];
  readonly seeders: Pick<Seeders, "ask">;
  readonly membership: Membership;
}

export interface Announcing {
  stop(): Promise<void>;
}

/** With fewer than that, a host that still fetches asks again soon: the swarm may just be forming. */
const fewPeers = 4;
/** With so many links a host that gets on looks for no more: a search links it with everybody on its way. */
const linksEnough = 8;

export function startAnnouncing(
  deps: AnnouncingDeps,
  artifact: { readonly cid: ArtifactCid; readonly chunksCount: number },
): Announcing {
  const controller = new AbortController();
  const done = announceUntilStopped(deps, artifact, controller.signal);
  return {
    stop: async () => {
      controller.abort();
      await done;
    },
  };
}

/** Never rejects: without a seeder the peers that are known already are enough to go on with. */
async function announceUntilStopped(
  deps: AnnouncingDeps,
  { cid, chunksCount }: { readonly cid: ArtifactCid; readonly chunksCount: number },
  signal: AbortSignal,
): Promise<void> {
  const { node, seeders, membership } = deps;
  let soonMs = announceSoonMs;
  let heldBefore = -1;
  while (!signal.aborted) {
    const { chunksHeld, links } = membership.progress();
    // One that has all of it does look, by which others find it.
    const getsOn = chunksHeld > heldBefore && chunksHeld < chunksCount && links >= linksEnough;
    heldBefore = chunksHeld;
    const share = chunksCount === 0 ? 1 : chunksHeld / chunksCount;
    const input = { swarmAddresses: [...node.addresses()], share };
    let pauseMs = soonMs;
    try {
      const ask = seeders.ask((client) => client.announce(cid, input, { signal }), signal);
      const { peers, againMs } = await ask;
      signal.throwIfAborted();
      membership.addPeers(peers);
      const peersCount = peers.filter((peer) => !peer.seeder).length;
      const isEnough = chunksHeld === chunksCount || peersCount >= fewPeers;
      pauseMs = isEnough ? againMs : Math.min(soonMs, againMs);
    } catch {
      // A seeder that is busy with a region's joining answers as little as one that is gone.
      if (!signal.aborted && !getsOn) await askPeers(deps, cid, signal);
      // Seeders are asked again after the pause.
    }
    soonMs = Math.min(2 * soonMs, announceMsMax);
    const boundedMs = Math.min(announceMsMax, Math.max(announceMsMin, pauseMs));
    await sleep(jittered(boundedMs), undefined, { signal }).catch(() => undefined);
  }
}

/** Never rejects. */
async function askPeers(
  { node, membership, knownPeers }: AnnouncingDeps,
  cid: ArtifactCid,
  signal: AbortSignal,
): Promise<void> {
  membership.addPeers(knownPeers());
  // It rejects only when this host stops.
  membership.addPeers(await node.findPeers(cid, signal).catch(() => []));
}

/** Less up to a fifth, so that hosts that began together don't stay together. */
function jittered(ms: number): number {
  return ms * (0.8 + 0.2 * Math.random());
}
