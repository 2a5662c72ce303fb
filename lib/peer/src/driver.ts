// The loop around the scheduler: what happened goes in, what is ordered is done, and a timer brings the
// next deadline. Decides nothing.
import { randomInt } from "node:crypto";
import { derivePieces } from "@shoal/core/content/pieces";
import { assert, ShoalError } from "@shoal/core/error";
import type { ArtifactCid, PeerId } from "@shoal/core/ids";
import { Prng } from "@shoal/core/prng";
import type { SwarmConfig } from "@shoal/core/swarm/config";
import type {
  ArtifactProgress,
  ArtifactSlot,
  LinkId,
  SwarmInput,
  SwarmOutput,
  UploadOrder,
} from "@shoal/core/swarm/events";
import type { SwarmLogEvent } from "@shoal/core/swarm/log-events";
import { Swarm } from "@shoal/core/swarm/swarm";
import type { KnownPeer } from "@shoal/core/wire/messages";
import type { Passport } from "@shoal/trust/passport";
import type { Log } from "@shoal/daemon/log";
import { Arrivals, type Batch } from "./arrivals.ts";
import type { Budgets } from "./budgets.ts";
import { inputOf, messageOf } from "./driver-messages.ts";
import { logSwarmEvent } from "./log-swarm-event.ts";
import { SwarmMembership } from "./membership.ts";
import type { JoinOptions, PeerCandidate } from "./peer-node.ts";
import type { PeerLink, PeerMessage, ReceivedRun } from "./peer-link.ts";
import { Permissions } from "./permissions.ts";
import type { Traffic, TrafficTotals } from "./traffic.ts";
import { Uploader } from "./uploader.ts";

export interface DriverDeps {
  readonly self: PeerId;
  readonly log: Log;
  readonly budgets: Budgets;
  readonly traffic: Traffic;
  readonly onEvent: ((event: SwarmLogEvent) => void) | undefined;
  allows(artifact: ArtifactCid, passport: Passport): boolean;
  isRevoked(peer: PeerId): boolean;
  /** Opens a link, which is then told to `opened`. */
  dial(peer: PeerId, addresses: readonly string[]): Promise<void>;
}

export class Driver {
  readonly #deps: DriverDeps;
  readonly #swarm: Swarm;
  readonly #links: Map<LinkId, PeerLink> = new Map();
  readonly #memberships: Map<ArtifactSlot, SwarmMembership> = new Map();
  readonly #slots: Map<ArtifactCid, ArtifactSlot> = new Map();
  readonly #permissions: Permissions;
  readonly #arrivals: Arrivals;
  readonly #uploader: Uploader;
  readonly #inputs: SwarmInput[] = [];
  #isBusy = false;
  #timer: NodeJS.Timeout | undefined;
  #timerMs = Infinity;
  #lastSlot = 0;
  #isStopped = false;

  constructor(deps: DriverDeps, config: SwarmConfig) {
    this.#deps = deps;
    this.#uploader = new Uploader(deps);
    this.#arrivals = new Arrivals((slot) => this.#memberships.get(slot)?.manifest.chunkBytes);
    this.#swarm = new Swarm(config, new Prng(randomInt(2 ** 32)));
    this.#permissions = new Permissions({
      allows: (cid, passport) => {
        const membership = this.#memberships.get(this.#slots.get(cid) ?? 0);
        return deps.allows(membership?.artifact ?? cid, passport);
      },
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
    const { cid, manifest, storage, reusing, priority, paused = false } = options;
    this.#lastSlot += 1;
    const slot = this.#lastSlot;
    const pieces = derivePieces(manifest);
    const membership = new SwarmMembership(
      slot,
      { ...options, pieces },
      {
        offer: (_membership, peers) => this.#offer(slot, peers.map(knownOf)),
        setPaused: (_membership, value) =>
          this.dispatch({ type: "pauseChanged", artifact: slot, paused: value }),
        reuseEnded: (type, firstChunk, count) =>
          this.dispatch({ type, artifact: slot, firstChunk, count }),
        progress: () => this.#progress(slot, manifest.chunkBytes.length),
        left: () => this.#forget(slot, cid),
      },
    );
    this.#memberships.set(slot, membership);
    this.#slots.set(cid, slot);
    const held = storage.heldChunks();
    const has = { pieces, held, ...(reusing !== undefined && { reusing }) };
    this.dispatch({ type: "artifactJoined", artifact: slot, cid, ...has, priority });
    if (paused) membership.setPaused(true);
    for (const link of this.#links.values()) this.#permissions.look(link, cid, slot);
    return membership;
  }

  opened(link: PeerLink): void {
    this.#links.set(link.id, link);
    this.dispatch({ type: "linkOpened", link: link.id, peer: link.known });
    this.#permissions.add(link, this.#slots);
  }

  closed(link: PeerLink, error: unknown): void {
    this.#deps.log.debug({ error, peer: link.known.peerId }, "link closed");
    this.#links.delete(link.id);
    this.#arrivals.forget(link.id);
    this.#permissions.remove(link);
    this.dispatch({ type: "linkClosed", link: link.id });
  }

  message(link: PeerLink, message: PeerMessage): void {
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

  run(link: PeerLink, run: ReceivedRun): void {
    this.#arrivals.add(link.id, run);
    const { request, firstChunk, count } = run;
    for (let chunk = firstChunk; chunk < firstChunk + count; chunk += 1) {
      this.#inputs.push({ type: "chunkReceived", link: link.id, request, chunk });
    }
    this.#handleInputs();
  }

  requestEnded(link: PeerLink, request: number): void {
    this.dispatch({ type: "rejectReceived", link: link.id, request });
  }

  requestLost(link: PeerLink, request: number): void {
    this.dispatch({ type: "requestLost", link: link.id, request });
  }

  /** One input, then all that is ordered; an input that comes up meanwhile waits its turn. */
  dispatch(input: SwarmInput): void {
    this.#inputs.push(input);
    this.#handleInputs();
  }

  /** What was moved so far, and what is going on. */
  traffic(): TrafficTotals {
    let requestsCount = 0;
    for (const link of this.#links.values()) requestsCount += link.requestsCount;
    return this.#deps.traffic.totals({ linksCount: this.#links.size, requestsCount });
  }

  /** Leaves everything; links are the caller's to close. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#permissions.stop();
    await Promise.all([...this.#memberships.values()].map((membership) => membership.leave()));
    clearTimeout(this.#timer);
  }

  #handleInputs(): void {
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
    // What arrived together is hashed and stored together.
    for (const batch of this.#arrivals.takeAccepted()) void this.#store(batch);
    this.#arm();
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
        this.#uploader.stop(output.link, output.request);
        return;
      case "accept":
        this.#arrivals.accept(output);
        return;
      case "discard":
        this.#arrivals.discard(output);
        return;
      case "complete":
        this.#memberships.get(output.artifact)?.complete();
        return;
      case "log":
        logSwarmEvent(this.#deps.log, output.event);
        this.#deps.onEvent?.(output.event);
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
          link.ask({ artifact: membership.cid, request, firstChunk, count }, membership.places);
          return;
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

  async #store(batch: Batch): Promise<void> {
    const { artifact, link: id, firstChunk, count } = batch;
    const from = this.#links.get(id)?.known;
    const peer = from?.peerId ?? "";
    const membership = this.#memberships.get(artifact);
    if (membership === undefined) {
      batch.settle();
      return;
    }
    try {
      const isRight = await membership.accept(firstChunk, count, batch.bytes);
      batch.settle();
      for (const [index, right] of isRight.entries()) {
        const chunk = firstChunk + index;
        const type = right ? "chunkStored" : "chunkRefused";
        const bytes = membership.manifest.chunkBytes[chunk] ?? 0;
        if (right) this.#deps.traffic.stored(from, bytes);
        else this.#deps.traffic.refused(bytes);
        this.#inputs.push({ type, artifact, chunk, link: id, peer });
      }
      this.#handleInputs();
    } catch (error) {
      assert(error instanceof ShoalError, "storage errors are wrapped");
      membership.fail(error);
    }
  }

  async #upload(order: UploadOrder): Promise<void> {
    const link = this.#links.get(order.link);
    const membership = this.#memberships.get(order.artifact);
    const outcome = await this.#uploader.upload(order, link, membership);
    if (outcome === "sent") link?.answered(order.request);
    this.dispatch({ type: "uploadEnded", link: order.link, request: order.request, outcome });
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
