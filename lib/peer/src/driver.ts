// The loop around the scheduler: what happened goes in, what is ordered is done, and a timer brings the
// next deadline. Holds received chunks between their arrival and the order about them. Decides nothing.
import { randomInt } from "node:crypto";
import { derivePieces } from "@shoal/core/content/pieces";
import { assert, ShoalError } from "@shoal/core/error";
import type { ArtifactCid, PeerId } from "@shoal/core/ids";
import { Prng } from "@shoal/core/prng";
import type { SwarmConfig } from "@shoal/core/swarm/config";
import type {
  AcceptOrder,
  ArtifactProgress,
  ArtifactSlot,
  LinkId,
  SwarmInput,
  SwarmOutput,
  UploadOrder,
} from "@shoal/core/swarm/events";
import { Swarm } from "@shoal/core/swarm/swarm";
import type { ControlMessage, KnownPeer } from "@shoal/core/wire/messages";
import type { Passport } from "@shoal/trust/passport";
import type { Log } from "@shoal/daemon/log";
import { inputOf, messageOf } from "./driver-messages.ts";
import { logSwarmEvent } from "./log-swarm-event.ts";
import { SwarmMembership } from "./membership.ts";
import type { JoinOptions, PeerCandidate } from "./peer-node.ts";
import type { PeerLink } from "./peer-link.ts";
import { Permissions } from "./permissions.ts";

export interface DriverDeps {
  readonly self: PeerId;
  readonly log: Log;
  allows(artifact: ArtifactCid, passport: Passport): boolean;
  isRevoked(peer: PeerId): boolean;
  /** Opens a link, which is then told to `opened`. */
  dial(peer: PeerId, addresses: readonly string[]): Promise<void>;
}

/** Chunk indexes are below this, request numbers below 2^32: together a safe integer. */
const chunksPerRequestKey = 2 ** 21;

export class Driver {
  readonly #deps: DriverDeps;
  readonly #swarm: Swarm;
  readonly #links: Map<LinkId, PeerLink> = new Map();
  readonly #memberships: Map<ArtifactSlot, SwarmMembership> = new Map();
  readonly #slots: Map<ArtifactCid, ArtifactSlot> = new Map();
  readonly #permissions: Permissions;
  /** Received chunks without an order yet, by link and then by request and chunk. */
  readonly #received: Map<LinkId, Map<number, Uint8Array>> = new Map();
  /** Uploads that are to end before their next chunk. */
  readonly #stopping: Set<string> = new Set();
  readonly #inputs: SwarmInput[] = [];
  #isBusy = false;
  #timer: NodeJS.Timeout | undefined;
  #timerMs = Infinity;
  #lastSlot = 0;
  #isStopped = false;

  constructor(deps: DriverDeps, config: SwarmConfig) {
    this.#deps = deps;
    this.#swarm = new Swarm(config, new Prng(randomInt(2 ** 32)));
    this.#permissions = new Permissions({
      allows: (cid, passport) => deps.allows(cid, passport),
      isRevoked: (peer) => deps.isRevoked(peer),
      changed: (link, artifact, allowed) => {
        this.dispatch({ type: "permissionChanged", link: link.id, artifact, allowed });
      },
      ended: (link, why) => link.close(new Error(`the peer's passport ${why}`)),
    });
  }

  join(options: JoinOptions): SwarmMembership {
    assert(!this.#isStopped, "the node runs");
    assert(!this.#slots.has(options.cid), "a node joins an artifact once");
    const { cid, manifest, storage, priority } = options;
    this.#lastSlot += 1;
    const slot = this.#lastSlot;
    const membership = new SwarmMembership(slot, options, {
      offer: (_membership, peers) => this.#offer(slot, peers.map(knownOf)),
      progress: () => this.#progress(slot, manifest.chunkBytes.length),
      left: () => this.#forget(slot, cid),
    });
    this.#memberships.set(slot, membership);
    this.#slots.set(cid, slot);
    const [pieces, held] = [derivePieces(manifest), storage.heldChunks()];
    this.dispatch({ type: "artifactJoined", artifact: slot, cid, pieces, held, priority });
    for (const link of this.#links.values()) this.#permissions.look(link, cid, slot);
    return membership;
  }

  opened(link: PeerLink): void {
    this.#links.set(link.id, link);
    this.#received.set(link.id, new Map());
    this.dispatch({ type: "linkOpened", link: link.id, peer: link.known });
    this.#permissions.add(link, this.#slots);
  }

  closed(link: PeerLink, error: unknown): void {
    this.#deps.log.debug({ error, peer: link.known.peerId }, "link closed");
    this.#links.delete(link.id);
    this.#received.delete(link.id);
    this.#permissions.remove(link);
    this.dispatch({ type: "linkClosed", link: link.id });
  }

  message(link: PeerLink, message: ControlMessage): void {
    if (message.type === "hello") {
      link.close(new Error("a second hello"));
      return;
    }
    if (message.type === "cancel") {
      const { request } = message;
      this.dispatch({ type: "cancelReceived", link: link.id, request });
      return;
    }
    const slot = this.#slots.get(message.artifact);
    if (slot === undefined) {
      // Not a member: whoever asks for chunks nevertheless is answered, all else is passed over.
      if (message.type === "request") link.endRequest(message.request);
      return;
    }
    if (message.type === "peers") {
      this.#offer(slot, message.peers);
      return;
    }
    if (message.type === "join") this.#permissions.look(link, message.artifact, slot);
    this.dispatch(inputOf(message, link.id, slot));
  }

  chunk(link: PeerLink, request: number, chunk: number, bytes: Uint8Array): void {
    this.#received.get(link.id)?.set(receivedKey(request, chunk), bytes);
    this.dispatch({ type: "chunkReceived", link: link.id, request, chunk });
  }

  requestEnded(link: PeerLink, request: number): void {
    this.dispatch({ type: "rejectReceived", link: link.id, request });
  }

  /** One input, then all that is ordered; an input that comes up meanwhile waits its turn. */
  dispatch(input: SwarmInput): void {
    this.#inputs.push(input);
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
        this.#swarm.handle(next, performance.now());
        for (let out = this.#swarm.poll(); out !== undefined; out = this.#swarm.poll()) {
          this.#perform(out);
        }
      }
    } finally {
      this.#isBusy = false;
    }
    this.#arm();
  }

  /** Leaves everything; links are the caller's to close. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#permissions.stop();
    await Promise.all([...this.#memberships.values()].map((membership) => membership.leave()));
    clearTimeout(this.#timer);
  }

  #perform(output: SwarmOutput): void {
    switch (output.type) {
      case "dial":
        this.#dial(output.peer, output.addresses);
        return;
      case "drop":
        this.#links.get(output.link)?.close(new Error(`dropped: ${output.reason}`));
        return;
      case "reject":
        this.#links.get(output.link)?.endRequest(output.request);
        return;
      case "upload":
        void this.#upload({ ...output });
        return;
      case "stopUpload":
        this.#stopping.add(`${output.link}/${output.request}`);
        return;
      case "accept":
        void this.#accept({ ...output });
        return;
      case "discard":
        this.#takeReceived(output.link, output.request, output.chunk);
        return;
      case "complete":
        this.#memberships.get(output.artifact)?.complete();
        return;
      case "log":
        logSwarmEvent(this.#deps.log, output.event);
        return;
      default: {
        const link = this.#links.get(output.link);
        if (output.type === "cancel") {
          link?.send({ type: "cancel", request: output.request });
          return;
        }
        const membership = this.#memberships.get(output.artifact);
        if (link === undefined || membership === undefined) return;
        if (output.type === "request") {
          const { request, firstChunk, count } = output;
          link.requests.open(request, firstChunk, count, membership.manifest.chunkBytes);
        }
        link.send(messageOf(output, membership.cid));
      }
    }
  }

  #dial(peer: PeerId, addresses: readonly string[]): void {
    this.#deps.dial(peer, addresses).catch((error: unknown) => {
      this.#deps.log.debug({ error, peer }, "dial failed");
      this.dispatch({ type: "dialFailed", peer });
    });
  }

  async #accept({ link: id, request, artifact, chunk }: AcceptOrder): Promise<void> {
    const peer = this.#links.get(id)?.known.peerId ?? "";
    const bytes = this.#takeReceived(id, request, chunk);
    const membership = this.#memberships.get(artifact);
    if (bytes === undefined || membership === undefined) return;
    try {
      const isRight = await membership.accept(chunk, bytes);
      const type = isRight ? "chunkStored" : "chunkRefused";
      this.dispatch({ type, artifact, chunk, link: id, peer });
    } catch (error) {
      assert(error instanceof ShoalError, "storage errors are wrapped");
      membership.fail(error);
    }
  }

  /** Reads one chunk ahead of the one that is being sent. */
  async #upload({ link: id, artifact, request, firstChunk, count }: UploadOrder): Promise<void> {
    const link = this.#links.get(id);
    const key = `${id}/${request}`;
    const membership = this.#memberships.get(artifact);
    let outcome: "sent" | "stopped" | "unreadable" = "sent";
    let ahead = membership?.read(firstChunk);
    for (let chunk = firstChunk; chunk < firstChunk + count; chunk += 1) {
      let bytes: Uint8Array | undefined;
      try {
        bytes = await ahead;
      } catch (error) {
        this.#deps.log.error({ error, artifact: membership?.cid, chunk }, "chunk unreadable");
        outcome = "unreadable";
        break;
      }
      if (link === undefined || bytes === undefined) break;
      if (this.#stopping.has(key) || membership === undefined || membership.hasLeft) {
        outcome = "stopped";
        break;
      }
      ahead = chunk + 1 < firstChunk + count ? membership.read(chunk + 1) : undefined;
      ahead?.catch(() => undefined);
      try {
        await link.sendChunk(request, chunk, bytes);
      } catch (error) {
        link.close(error);
        break;
      }
    }
    this.#stopping.delete(key);
    this.dispatch({ type: "uploadEnded", link: id, request, outcome });
  }

  #takeReceived(link: LinkId, request: number, chunk: number): Uint8Array | undefined {
    const received = this.#received.get(link);
    const bytes = received?.get(receivedKey(request, chunk));
    received?.delete(receivedKey(request, chunk));
    return bytes;
  }

  /** Who lists members may list this one as well. */
  #offer(artifact: ArtifactSlot, candidates: readonly KnownPeer[]): void {
    const peers = candidates.filter(({ peerId }) => peerId !== this.#deps.self);
    this.dispatch({ type: "candidatesOffered", artifact, peers });
  }

  #progress(slot: ArtifactSlot, chunksCount: number): ArtifactProgress {
    const progress = this.#swarm.progress(slot, performance.now());
    assert(progress !== undefined, `artifact ${slot} of ${chunksCount} chunks is known`);
    return progress;
  }

  #forget(slot: ArtifactSlot, cid: ArtifactCid): void {
    this.dispatch({ type: "artifactLeft", artifact: slot });
    this.#memberships.delete(slot);
    this.#slots.delete(cid);
    this.#permissions.forget(slot);
  }

  #arm(): void {
    const dueMs = this.#isStopped ? Infinity : (this.#swarm.nextDeadline() ?? Infinity);
    if (dueMs === this.#timerMs) return;
    clearTimeout(this.#timer);
    this.#timerMs = dueMs;
    if (dueMs === Infinity) return;
    this.#timer = setTimeout(
      () => {
        this.#timerMs = Infinity;
        this.dispatch({ type: "deadline" });
      },
      Math.max(0, Math.ceil(dueMs - performance.now())),
    );
  }
}

function knownOf({ peerId, swarmAddresses, zone, seeder }: PeerCandidate): KnownPeer {
  return { peerId, addresses: swarmAddresses, zone, seeder };
}

function receivedKey(request: number, chunk: number): number {
  return request * chunksPerRequestKey + chunk;
}
