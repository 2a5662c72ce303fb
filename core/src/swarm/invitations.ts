// Whom to invite to ask. A host asks a peer when that has room for it, and not before: what is asked of
// one that is busy waits there, while others that have got the same piece meanwhile have nobody to send
// it to. In a swarm's first seconds, when few have anything, that left half of all ways up idle. So an
// invitation goes out for each upload that could begin soon, to the peer that would be served first; it
// chooses what to ask for, by what it lacks at that moment, and one that lacks nothing doesn't answer.
//
// An invitation is a have of a piece that the peer knows of already; with it goes what else waits to be
// announced. So it costs no message of its own kind, and nobody has to understand it.
//
// Invariants: a link has at most one open invitation, which ends with a request, or after a few times
// what answers take; one that came to nothing isn't repeated at once.
import type { Millis } from "../units.ts";
import type { Announcer } from "./announcer.ts";
import type { Artifact } from "./artifact.ts";
import { lackedCountAt, numbersPerPeer, offeredCountAt } from "./peer-numbers.ts";
import type { Link, Peer } from "./peers.ts";
import { removeAt } from "./remove-at.ts";
import type { SwarmState } from "./state.ts";
import { timer } from "./timers.ts";
import type { Uploads } from "./uploads.ts";

/** An answer that takes so many times the usual doesn't come. */
const lateTimes = 4;
/** Times to look again are rounded up to such a share of what an upload usually takes. */
const wakeShare = 1 / 5;
/** Where uploads take longer than this, and answers no more than such a share of it, nobody is invited ahead. */
const shortUploadMs = 30;
const shortAnswerShare = 1 / 10;
/** Weight of the newest answer in what is usual. */
const newestWeight = 0.1;

export interface InvitationsDeps {
  readonly state: SwarmState;
  readonly uploads: Uploads;
  readonly announcer: Announcer;
}

export class Invitations {
  readonly #deps: InvitationsDeps;
  /** In the order they were invited. */
  readonly #open: Link[] = [];
  /** No open invitation ends before. */
  #expiresMs: Millis = Infinity;
  #answerMs: Millis = 0;
  /** Something changed since there was nobody to invite. */
  #isDue = false;
  /** Whose peers are remembered by their places. */
  #lone: Artifact | undefined;

  constructor(deps: InvitationsDeps) {
    this.#deps = deps;
  }

  /** Somebody may lack what it didn't, or there is more room: somebody may be invited. */
  touch(): void {
    this.#isDue = true;
  }

  /** A link asks for something. */
  answered(link: Link, now: Millis): void {
    if (!removeFrom(this.#open, link)) return;
    this.#answerMs += (now - link.invitedMs - this.#answerMs) * newestWeight;
    link.invitedMs = -Infinity;
    link.notInvitedBeforeMs = now;
  }

  closeLink(link: Link): void {
    removeFrom(this.#open, link);
    this.#isDue = true;
  }

  /** Invites as many as there is room for. */
  invite(now: Millis): void {
    const { state, uploads, announcer } = this.#deps;
    const { config } = state;
    if (!this.#isDue || config.seeder || !config.invites) return;
    this.#expire(now);
    while (this.#open.length < uploads.room(now) + this.#ahead) {
      const peer = this.#choose(now);
      if (peer === undefined) {
        this.#isDue = false;
        return;
      }
      this.#open.push(peer.link);
      peer.link.invitedMs = now;
      this.#expiresMs = Math.min(this.#expiresMs, now + this.#patienceMs);
      this.#wakeBy(this.#expiresMs);
      announcer.invite(peer);
    }
  }

  /** What isn't answered by now won't be. */
  #expire(now: Millis): void {
    const { config } = this.#deps.state;
    if (this.#expiresMs > now) {
      if (this.#open.length > 0) this.#wakeBy(this.#expiresMs);
      return;
    }
    this.#expiresMs = Infinity;
    for (let at = this.#open.length - 1; at >= 0; at -= 1) {
      const link = this.#open[at] as Link;
      const untilMs = link.invitedMs + this.#patienceMs;
      if (untilMs > now) {
        this.#expiresMs = Math.min(this.#expiresMs, untilMs);
        this.#wakeBy(untilMs);
        continue;
      }
      removeFrom(this.#open, link);
      link.invitedMs = -Infinity;
      const againMs = config.inviteAgainUploads * this.#deps.uploads.usualMs;
      link.notInvitedBeforeMs = now + Math.max(againMs, this.#patienceMs);
    }
  }

  /**
   * Looks again at this time or a little later, together with what else is due then: nobody needs it to the millisecond
   * while uploads take a hundred. A fifth of a simulated world's events, and of a host's wake-ups, were these.
   */
  #wakeBy(at: Millis): void {
    const { state, uploads } = this.#deps;
    const stepMs = uploads.usualMs * wakeShare;
    // Never sooner, by however little a quotient may be off: it would be looked at in vain, again and again.
    const wakeMs = stepMs > 0 ? Math.max(at, Math.ceil(at / stepMs) * stepMs) : at;
    state.timers.lower(timer.invitations, wakeMs);
  }

  /**
   * How many more are invited than can begin. Who waits here takes that long to have what it is promised, and asks
   * nobody else for it: worth it only where an upload's way would be idle until somebody answers.
   */
  get #ahead(): number {
    const { state, uploads } = this.#deps;
    const { usualMs } = uploads;
    const isWorthIt = usualMs < shortUploadMs || this.#answerMs > usualMs * shortAnswerShare;
    return isWorthIt ? state.config.invitesAhead : 0;
  }

  get #patienceMs(): Millis {
    const { inviteMs, inviteMsMax } = this.#deps.state.config;
    return Math.min(Math.max(inviteMs, lateTimes * this.#answerMs), inviteMsMax);
  }

  /** Of those that lack something and neither wait nor are served, who would be served first. */
  #choose(now: Millis): Peer | undefined {
    const { state, uploads } = this.#deps;
    const mayLeaveZone = uploads.mayLeaveZone(now);
    const { byPlace } = state.links;
    const { uninvitedUntilMs, inviteePlace } = state.linkNumbers;
    const lone = state.artifacts.size === 1 ? this.#lone : undefined;
    let nextMs = Infinity;
    let best: Peer | undefined;
    let bestWaitMs = -Infinity;
    // Most links aren't to be looked at: what says so are neighboring numbers.
    for (let place = 0; place < byPlace.length; place += 1) {
      const untilMs = uninvitedUntilMs[place] as Millis;
      if (untilMs > now) {
        if (untilMs < nextMs) nextMs = untilMs;
        continue;
      }
      if (lone !== undefined) {
        const peerPlace = inviteePlace[place] as number;
        if (lacksAt(lone, peerPlace)) {
          const offeredCount = offeredAt(lone, peerPlace);
          const waitMs = uploads.waitMsOf(place, lone.piecesHeld - offeredCount, now);
          if (waitMs <= bestWaitMs || this.#isCrowded(offeredCount)) continue;
          best = byPlace[place]?.byPriority[0];
          bestWaitMs = waitMs;
          continue;
        }
      }
      const link = byPlace[place];
      if (link === undefined || (!link.isNear && !mayLeaveZone)) continue;
      const peer = toInvite(link, now);
      if (peer === undefined) {
        nextMs = Math.min(nextMs, uninvitedUntilMs[place] as Millis);
        continue;
      }
      this.#remember(peer);
      if (best !== undefined && peer.artifact.priority < best.artifact.priority) continue;
      const waitMs = uploads.waitMs(peer, now);
      const isFirst = best === undefined || peer.artifact.priority > best.artifact.priority;
      if (!isFirst && waitMs <= bestWaitMs) continue;
      // Last, because it looks at all that are served.
      if (this.#isCrowded(peer.offeredCount)) continue;
      best = peer;
      bestWaitMs = waitMs;
    }
    if (nextMs < Infinity) this.#wakeBy(nextMs);
    return best;
  }

  /**
   * Most of those that are to be invited aren't the first, and are looked at again and again: from now on by their
   * numbers. Only where a peer's link is all there is to say who it is and whether it may be served.
   */
  #remember({ link, artifact, place }: Peer): void {
    const { config, artifacts, linkNumbers } = this.#deps.state;
    if (artifacts.size > 1 || (!link.isNear && config.farBytesPerMs < Infinity)) return;
    this.#lone = artifact;
    linkNumbers.inviteePlace[link.place] = place;
  }

  /** Whether enough peers that have no more than this one are served, wait, or are invited. */
  #isCrowded(offeredCount: number): boolean {
    const { uploads } = this.#deps;
    const most = uploads.servedBeside(offeredCount);
    let count = uploads.countBeside(offeredCount);
    for (const { byPriority } of this.#open) {
      const peer = byPriority[0];
      if (peer !== undefined && peer.offeredCount <= offeredCount) count += 1;
    }
    return count >= most;
  }
}

/** The peer to invite of a link, which is passed over for as long as there is none. */
function toInvite(link: Link, now: Millis): Peer | undefined {
  const peer = isServed(link) ? undefined : link.byPriority.find(lacksSomething);
  const untilMs = peer === undefined ? Infinity : link.notInvitedBeforeMs;
  if (untilMs <= now) return peer;
  link.passOver(untilMs);
  return undefined;
}

function isServed({ active, queue, invitedMs }: Link): boolean {
  return active !== undefined || queue.length > 0 || invitedMs > -Infinity;
}

function lacksSomething(peer: Peer): boolean {
  return peer.isLive && peer.lackedCount > 0 && !peer.link.known.seeder;
}

/** The same by the peer's numbers; nobody's are all zero. */
function lacksAt({ peerNumbers }: Artifact, place: number): boolean {
  return (peerNumbers.ints[place * numbersPerPeer + lackedCountAt] as number) > 0;
}

function offeredAt({ peerNumbers }: Artifact, place: number): number {
  return peerNumbers.ints[place * numbersPerPeer + offeredCountAt] as number;
}

function removeFrom(links: Link[], link: Link): boolean {
  const at = links.indexOf(link);
  if (at >= 0) removeAt(links, at);
  return at >= 0;
}
