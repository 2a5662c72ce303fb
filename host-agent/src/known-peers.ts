// Peers that this host was linked with, on disk: who to begin with after a restart when no seeder answers.
// A hint and nothing more: whoever answers still has to show a passport, and may be gone.
import { rememberedPeersMax, rememberPeersMs } from "@shoal/core/limits";
import { multiaddr, peerId } from "@shoal/api/names";
import type { StateFile } from "@shoal/daemon/atomic-file";
import { startLoop, type Loop } from "@shoal/daemon/loop";
import type { Log } from "@shoal/daemon/log";
import type { PeerCandidate, PeerNode } from "@shoal/peer/peer-node";
import { z } from "zod";

const content = z.strictObject({
  peers: z
    .array(
      z.strictObject({
        peerId,
        swarmAddresses: z.array(multiaddr).max(16),
        zone: z.string().max(64),
        seeder: z.boolean(),
      }),
    )
    .max(rememberedPeersMax),
});

export interface KnownPeersDeps {
  readonly file: StateFile;
  readonly node: Pick<PeerNode, "linkedPeers">;
  readonly log: Log;
}

export class KnownPeers {
  readonly #deps: KnownPeersDeps;
  #loop: Loop | undefined;
  /** The newest first. */
  #peers: readonly PeerCandidate[] = [];

  constructor(deps: KnownPeersDeps) {
    this.#deps = deps;
  }

  /** Begins with what is on disk, if that can be read, and keeps it up to date. */
  async start(): Promise<void> {
    const { file, log } = this.#deps;
    try {
      const bytes = await file.read();
      if (bytes !== undefined) {
        this.#peers = content.parse(JSON.parse(new TextDecoder().decode(bytes))).peers;
      }
    } catch (error) {
      log.warn({ error, path: file.path }, "peers of an earlier run are forgotten");
    }
    const run = (): Promise<void> => this.#remember();
    this.#loop = startLoop({ name: "known-peers", intervalMs: rememberPeersMs, log, run });
  }

  peers(): readonly PeerCandidate[] {
    return this.#peers;
  }

  async stop(): Promise<void> {
    await this.#loop?.stop();
  }

  async #remember(): Promise<void> {
    const linked = this.#deps.node.linkedPeers().filter(isDialable);
    const old = new Map(this.#peers.map((peer) => [peer.peerId, JSON.stringify(peer)]));
    if (linked.every((peer) => old.get(peer.peerId) === JSON.stringify(peer))) return;
    const ids = new Set(linked.map((peer) => peer.peerId));
    const before = this.#peers.filter((peer) => !ids.has(peer.peerId));
    this.#peers = [...linked, ...before].slice(0, rememberedPeersMax);
    await this.#deps.file.write(`${JSON.stringify({ peers: this.#peers })}\n`);
  }
}

function isDialable({ swarmAddresses }: PeerCandidate): boolean {
  return swarmAddresses.length > 0;
}
