// The piece scheduler: one machine for each host, over all its artifacts. Who to ask for which chunks,
// whom to answer, what to announce, whom to drop. It moves no bytes, hashes nothing, has no clock and
// no randomness of its own: events.ts says what it is told and what it orders.
//
// Call `handle`, then `poll` until undefined, then arrange for a `deadline` at `nextDeadline()`. What a
// remote peer says never throws; what breaks the protocol ends its link. The same seed and the same
// inputs give the same outputs.
import { assert } from "../error.ts";
import { artifactsPerNodeMax } from "../limits.ts";
import type { Prng } from "../prng.ts";
import type { ChunkIndex, Millis } from "../units.ts";
import { Announcer } from "./announcer.ts";
import { Artifact } from "./artifact.ts";
import { Candidates } from "./candidates.ts";
import type { SwarmConfig } from "./config.ts";
import { Downloads } from "./downloads.ts";
import type {
  ArtifactJoined,
  ArtifactProgress,
  ArtifactSlot,
  ChunkRefused,
  ChunkStored,
  DropReason,
  LinkOpened,
  PauseChanged,
  PermissionChanged,
  ReuseEnded,
  SwarmInput,
  SwarmOutput,
  UploadEnded,
} from "./events.ts";
import { Handout } from "./handout.ts";
import { Invitations } from "./invitations.ts";
import { Members } from "./members.ts";
import { Outputs } from "./outputs.ts";
import { Link, type Peer } from "./peers.ts";
import { SwarmState } from "./state.ts";
import { timer } from "./timers.ts";
import { Uploads } from "./uploads.ts";
import { waitsOf } from "./waits-for.ts";

/** What is about an open link; a stored or refused chunk outlives the link it came by. */
type LinkInput = Exclude<
  Extract<SwarmInput, { link: number }>,
  { type: "linkOpened" | "chunkStored" | "chunkRefused" }
>;

export class Swarm {
  readonly #state: SwarmState;
  readonly #prng: Prng;
  readonly #downloads: Downloads;
  readonly #uploads: Uploads;
  readonly #announcer: Announcer;
  readonly #handout: Handout;
  readonly #invitations: Invitations;
  readonly #members: Members;
  readonly #candidates: Candidates;
  #now: Millis = 0;

  /** `outputs` may be those of other machines, too, if each is polled until undefined before the next is told. */
  constructor(config: SwarmConfig, prng: Prng, outputs: Outputs = new Outputs()) {
    this.#prng = prng.child(1);
    const state = new SwarmState(config, prng.child(2), outputs);
    this.#state = state;
    this.#downloads = new Downloads(state);
    this.#uploads = new Uploads(state);
    this.#announcer = new Announcer(state);
    this.#handout = new Handout(state, this.#announcer);
    const [downloads, uploads] = [this.#downloads, this.#uploads];
    const [announcer, handout] = [this.#announcer, this.#handout];
    const invitations = new Invitations({ state, uploads, announcer });
    this.#invitations = invitations;
    this.#members = new Members({ state, downloads, uploads, announcer, handout, invitations });
    this.#candidates = new Candidates(state);
  }

  handle(input: SwarmInput, now: Millis): void {
    assert(now >= this.#now, "time doesn't go back");
    this.#now = now;
    this.#apply(input, now);
    if (this.#state.config.seeder) this.#handout.deal(now);
    this.#downloads.pump(now);
    while (this.#uploads.next(now) !== undefined);
    this.#invitations.invite(now);
    if (this.#state.timers.take(timer.dial, now)) this.#candidates.dial(now);
  }

  /** The next order, valid until the next call; undefined when there is none. */
  poll(): SwarmOutput | undefined {
    return this.#state.outputs.poll();
  }

  nextDeadline(): Millis | undefined {
    return this.#state.timers.next();
  }

  /** What an artifact has come to; undefined when this node isn't a member. */
  progress(slot: ArtifactSlot, now: Millis): ArtifactProgress | undefined {
    const artifact = this.#state.artifacts.get(slot);
    if (artifact === undefined) return undefined;
    const { chunksHeld, piecesHeld, pieces } = artifact;
    const { bytesFromSeeders, bytesFromPeers, bytesRefused, bytesDiscarded, bytesSent } = artifact;
    return {
      chunksHeld,
      chunksCount: pieces.chunksCount,
      piecesHeld,
      piecesCount: pieces.count,
      bytesFromSeeders,
      bytesFromPeers,
      bytesRefused,
      bytesDiscarded,
      bytesSent,
      links: artifact.peers.filter((peer) => peer.isLive).length,
      waits: waitsOf(artifact, this.#candidates.countFor(slot), now),
    };
  }

  #apply(input: SwarmInput, now: Millis): void {
    switch (input.type) {
      case "artifactJoined":
        return this.#joinArtifact(input, now);
      case "artifactLeft":
        return this.#leaveArtifact(input.artifact, now);
      case "pauseChanged":
        return this.#changePause(input, now);
      case "candidatesOffered":
        if (!this.#state.artifacts.has(input.artifact)) return undefined;
        return this.#candidates.offer(input.artifact, input.peers, now);
      case "linkOpened":
        return this.#openLink(input, now);
      case "dialFailed": {
        const failures = this.#candidates.failed(input.peer, now);
        if (failures === 0) return undefined;
        return this.#state.log({ type: "dialFailed", at: now, peer: input.peer, failures });
      }
      case "chunkStored":
        return this.#store(input, now);
      case "chunkRefused":
        return this.#refuse(input, now);
      case "chunksReused":
      case "reuseFailed":
        return this.#endReuse(input, now);
      case "deadline":
        return this.#wake(now);
      default: {
        const link = this.#state.links.get(input.link);
        // The link was dropped, and what it said last was on its way.
        if (link !== undefined) this.#applyToLink(link, input, now);
        else if (input.type === "chunkReceived")
          this.#state.outputs.discard(input.link, input.request, input.chunk);
      }
    }
  }

  #applyToLink(link: Link, input: LinkInput, now: Millis): void {
    switch (input.type) {
      case "linkClosed":
        this.#closeLink(link, now);
        return this.#state.log({ type: "linkClosed", at: now, peer: link.known.peerId });
      case "permissionChanged":
        this.#permit(link, input, now);
        return;
      case "requestReceived": {
        const peer = link.peerOf(input.artifact);
        if (this.#uploads.request(link, peer, input) === "illegal") this.#misbehaved(link, now);
        else this.#invitations.answered(link, now);
        return;
      }
      case "cancelReceived":
        this.#uploads.cancel(link, input.request);
        return;
      case "rejectReceived":
        this.#rejected(link, input.request, now);
        return;
      case "requestLost":
        this.#downloads.reject(link, input.request);
        return;
      case "chunkReceived":
        if (this.#downloads.receive(link, input.request, input.chunk, now)) return;
        this.#state.outputs.discard(input.link, input.request, input.chunk);
        this.#misbehaved(link, now);
        return;
      case "uploadEnded":
        this.#uploadEnded(link, input, now);
        return;
      case "peerJoined":
      case "peerLeft":
      case "bitfieldReceived":
      case "havesReceived": {
        const peer = link.peerOf(input.artifact);
        if (peer !== undefined && !this.#applyToPeer(peer, input)) this.#misbehaved(link, now);
      }
    }
  }

  /** False when the peer broke the protocol. */
  #applyToPeer(
    peer: Peer,
    input: Extract<
      SwarmInput,
      { type: "peerJoined" | "peerLeft" | "bitfieldReceived" | "havesReceived" }
    >,
  ): boolean {
    switch (input.type) {
      case "peerJoined":
        this.#members.join(peer);
        return true;
      case "peerLeft":
        this.#members.leave(peer);
        return true;
      case "bitfieldReceived":
        return this.#members.setOffer(peer, input.pieces);
      case "havesReceived":
        return this.#members.addOffers(peer, input);
    }
  }

  #joinArtifact(input: ArtifactJoined, now: Millis): void {
    const { artifacts, timers, outputs, config } = this.#state;
    assert(!artifacts.has(input.artifact), "an artifact's slot is used once");
    assert(artifacts.size < artifactsPerNodeMax, "no more artifacts than a node can have");
    const artifact = new Artifact(input, this.#prng.child(input.artifact));
    artifacts.set(input.artifact, artifact);
    timers.lower(timer.idle, now + config.linkIdleMs);
    this.#state.fedMs = now;
    const { cid, chunksHeld, pieces } = artifact;
    const piecesCount = pieces.count;
    this.#state.log({ type: "joined", at: now, artifact: cid, chunksHeld, piecesCount });
    if (artifact.isComplete) outputs.push({ type: "complete", artifact: artifact.slot });
  }

  #leaveArtifact(slot: ArtifactSlot, now: Millis): void {
    const artifact = this.#state.artifacts.get(slot);
    if (artifact === undefined) return;
    for (const peer of [...artifact.peers]) this.#members.part(peer);
    this.#state.artifacts.delete(slot);
    artifact.isLeft = true;
    this.#state.bytesOpen -= artifact.bytesStoring;
    this.#handout.forget(artifact);
    this.#candidates.forgetArtifact(slot);
    this.#state.log({ type: "left", at: now, artifact: artifact.cid });
  }

  #changePause({ artifact: slot, paused }: PauseChanged, now: Millis): void {
    const artifact = this.#state.artifacts.get(slot);
    if (artifact === undefined || artifact.isPaused === paused) return;
    artifact.isPaused = paused;
    this.#state.log({ type: paused ? "paused" : "resumed", at: now, artifact: artifact.cid });
    if (paused) {
      for (const peer of artifact.peers) this.#downloads.cancelOf(peer);
    } else {
      this.#state.wakeAll(artifact);
      this.#state.timers.lower(timer.dial, now);
    }
  }

  #openLink({ link: id, peer }: LinkOpened, now: Millis): void {
    const { links, linkNumbers, config, timers } = this.#state;
    assert(links.get(id) === undefined, "a link's number is used once");
    const isBanned = this.#candidates.isBanned(peer.peerId, now);
    if (isBanned || links.size >= config.linksMax) {
      this.#state.outputs.push({ type: "drop", link: id, reason: isBanned ? "banned" : "full" });
      this.#candidates.failed(peer.peerId, now);
      return;
    }
    links.add(new Link(id, peer, config, linkNumbers, now));
    this.#candidates.linked(peer, now);
    timers.lower(timer.idle, now + config.linkIdleMs);
    this.#state.log({ type: "linkOpened", at: now, peer: peer.peerId });
  }

  #closeLink(link: Link, now: Millis): void {
    this.#state.links.delete(link);
    link.isOpen = false;
    this.#downloads.closeLink(link);
    this.#uploads.closeLink(link);
    this.#invitations.closeLink(link);
    for (const peer of link.peers) this.#members.unlink(peer);
    this.#state.linkNumbers.give(link.place);
    this.#candidates.unlinked(link.known.peerId, now);
  }

  #drop(link: Link, reason: DropReason, now: Millis): void {
    this.#closeLink(link, now);
    this.#state.outputs.push({ type: "drop", link: link.id, reason });
    this.#state.log({ type: "peerDropped", at: now, peer: link.known.peerId, reason });
  }

  #misbehaved(link: Link, now: Millis): void {
    this.#candidates.ban(link.known.peerId, now);
    this.#drop(link, "protocol", now);
  }

  #permit(link: Link, { artifact: slot, allowed }: PermissionChanged, now: Millis): void {
    const artifact = this.#state.artifacts.get(slot);
    const peer = link.peerOf(slot);
    if (artifact !== undefined && allowed) {
      this.#members.allow(link, artifact);
      this.#state.timers.lower(timer.dial, now);
    } else if (peer !== undefined && !allowed) this.#members.part(peer);
  }

  #rejected(link: Link, id: number, now: Millis): void {
    const request = this.#state.requests.find(id);
    if (request === undefined || request.link !== link) return this.#misbehaved(link, now);
    const peer = link.peerOf(request.artifact.slot);
    // A peer that refuses a piece doesn't have it any more; one that we cancelled says nothing new.
    if (!request.isCancelled && peer !== undefined) this.#members.lose(peer, request.piece);
    this.#downloads.reject(link, id);
  }

  #store({ artifact: slot, chunk, link: id }: ChunkStored, now: Millis): void {
    const artifact = this.#state.artifacts.get(slot);
    if (artifact === undefined) return;
    const isPieceDone = artifact.store(chunk);
    this.#downloads.afterStored(artifact, chunk);
    if (isPieceDone) this.#complete(artifact, chunk, this.#state.links.get(id), now);
  }

  #endReuse({ type, artifact: slot, firstChunk, count }: ReuseEnded, now: Millis): void {
    const artifact = this.#state.artifacts.get(slot);
    if (artifact === undefined) return;
    for (let chunk = firstChunk; chunk < firstChunk + count; chunk += 1) {
      if (type === "reuseFailed") artifact.failReuse(chunk);
      else if (artifact.reuse(chunk)) this.#complete(artifact, chunk, undefined, now);
    }
    if (type === "reuseFailed") this.#state.wakeAll(artifact);
  }

  /** The last chunk of a piece is held; `link` brought it, if it is still there and any did. */
  #complete(artifact: Artifact, chunk: ChunkIndex, link: Link | undefined, now: Millis): void {
    const piece = artifact.pieces.pieceOf(chunk);
    if (this.#state.config.logPieces) {
      const peer = link?.known.peerId ?? "";
      this.#state.log({ type: "pieceStored", at: now, artifact: artifact.cid, piece, peer });
    }
    if (this.#state.config.seeder) this.#handout.add(artifact, piece);
    else this.#announcer.announce(artifact, piece, now);
    this.#invitations.touch();
    if (!artifact.isComplete) return;
    this.#state.outputs.push({ type: "complete", artifact: artifact.slot });
    this.#state.log({ type: "completed", at: now, artifact: artifact.cid });
  }

  #refuse({ artifact: slot, chunk, link: id, peer }: ChunkRefused, now: Millis): void {
    this.#candidates.ban(peer, now);
    const artifact = this.#state.artifacts.get(slot);
    if (artifact !== undefined) {
      artifact.refuse(chunk);
      this.#downloads.afterRefused(artifact, chunk);
      const piece = artifact.pieces.pieceOf(chunk);
      this.#state.log({ type: "chunkRefused", at: now, artifact: artifact.cid, piece, peer });
    }
    const link = this.#state.links.get(id);
    if (link !== undefined) this.#drop(link, "badChunk", now);
  }

  #uploadEnded(link: Link, input: UploadEnded, now: Millis): void {
    const upload = this.#uploads.end(link, input, now);
    this.#invitations.touch();
    if (upload === undefined) return;
    const { peer, firstChunk, count } = upload;
    const { artifact } = peer;
    const piece = artifact.pieces.pieceOf(firstChunk);
    if (input.outcome === "unreadable") {
      this.#members.withdraw(artifact, piece);
      this.#state.log({ type: "pieceWithdrawn", at: now, artifact: artifact.cid, piece });
    }
    const pieceEnd = artifact.pieces.firstChunk(piece) + artifact.pieces.chunkCount(piece);
    if (input.outcome !== "sent" || firstChunk + count !== pieceEnd) return;
    if (peer.shown === undefined) return;
    // A seeder counts what it sent as a copy at once, not when it hears of it, and shows the next.
    this.#members.gain(peer, piece);
    this.#handout.touch(peer);
  }

  #wake(now: Millis): void {
    const { timers, links, config } = this.#state;
    if (timers.take(timer.haves, now)) this.#announcer.flushDue(now);
    if (timers.take(timer.stall, now)) {
      for (const link of this.#downloads.watch(now)) this.#drop(link, "stalled", now);
    }
    if (timers.take(timer.endgame, now)) this.#state.touchAll();
    if (timers.take(timer.hunger, now)) this.#state.touchAll();
    if (timers.take(timer.invitations, now)) this.#invitations.touch();
    if (timers.take(timer.budget, now)) {
      this.#uploads.touch();
      this.#invitations.touch();
    }
    if (timers.take(timer.offers, now)) this.#handout.touchAll();
    if (!timers.take(timer.idle, now) || links.size === 0) return;
    for (const link of [...links.all]) {
      const sinceMs = this.#members.needless(link, now);
      if (sinceMs !== undefined && now - sinceMs >= config.linkIdleMs) {
        this.#drop(link, "unneeded", now);
      }
    }
    timers.lower(timer.idle, now + config.linkIdleMs / 2);
  }
}
