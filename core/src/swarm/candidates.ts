// Peers that could be linked: who named them for which artifact, when to dial them again, and who is
// kept away. Dials while an incomplete artifact has fewer links than wanted: a seeder first when there
// is none, then peers of the same zone, ties at random. A quarter of the links is left to those who
// dial us, so that newcomers find room.
//
// One dial, and one more for each link there is: a region that is woken at once links to its seeder and
// begins, before it spends its processors on handshakes of each with each. A dial that takes longer than
// `dialPatienceMs` holds up no other; one that took long for want of processors is followed by a rest,
// in which those who have no link yet get theirs. Of two hosts that want each other at the same moment,
// one dials first: with twelve hosts woken at once, every third handshake was one of two for the same pair.
//
// Bounded by `candidatesMax` and `bansMax`; the oldest that isn't in use makes room.
import type { PeerId } from "../ids.ts";
import { banMs, bansMax, candidatesMax } from "../limits.ts";
import type { Millis } from "../units.ts";
import type { KnownPeer } from "../wire/messages.ts";
import type { Artifact } from "./artifact.ts";
import type { ArtifactSlot } from "./events.ts";
import type { SwarmState } from "./state.ts";
import { timer } from "./timers.ts";

/** Hundreds of them are most of what a node remembers: what few have is elsewhere. */
class Candidate {
  known: KnownPeer;
  /** Made as long as it is: few are of more than one. */
  artifacts: readonly ArtifactSlot[] = [];
  state: "known" | "dialing" | "linked" = "known";
  /** In a row: dials that came to nothing, and links that the other side ended at once. */
  failures = 0;
  notBeforeMs: Millis = -Infinity;
  /** When it was offered, if it is for the other side to dial first. */
  theirsSinceMs: Millis = -Infinity;

  constructor(known: KnownPeer) {
    this.known = known;
  }
}

/** Seeders that one artifact needs: one gives it what is missing, another is there when it fails. */
const seedersWanted = 2;
const outboundShare = 3 / 4;
/** In a turn there is time for so many dials, one after the other. */
const dialsInTurn = 6;
/** After so many failures in a row, a candidate is forgotten until somebody names it again. */
const failuresMax = 6;

export class Candidates {
  readonly #state: SwarmState;
  readonly #candidates: Map<PeerId, Candidate> = new Map();
  readonly #bans: Map<PeerId, Millis> = new Map();
  /** When each was dialed, and when those that are linked were. */
  readonly #dialing: Map<Candidate, Millis> = new Map();
  readonly #linked: Map<Candidate, Millis> = new Map();
  /** An artifact with links isn't dialed for before. */
  #restUntilMs: Millis = 0;
  /** How long dials take lately. */
  #dialMs: Millis = 0;

  constructor(state: SwarmState) {
    this.#state = state;
  }

  offer(artifact: ArtifactSlot, peers: readonly KnownPeer[], now: Millis): void {
    for (const known of peers) {
      if (known.addresses.length === 0) continue;
      const candidate = this.#remember(known);
      if (candidate === undefined || candidate.artifacts.includes(artifact)) continue;
      const { artifacts } = candidate;
      // An array that grows, or is spread, has room for seventeen.
      candidate.artifacts = artifacts.length === 0 ? [artifact] : [...artifacts, artifact];
      const { self } = this.#state.config;
      const isOurs = known.seeder || self === "" || dialsFirst(self, known.peerId);
      candidate.theirsSinceMs = isOurs ? -Infinity : now;
    }
    this.#state.timers.lower(timer.dial, now);
  }

  linked(known: KnownPeer, now: Millis): void {
    const candidate = this.#remember(known);
    if (candidate === undefined) return;
    const dialedMs = this.#dialing.get(candidate);
    if (dialedMs !== undefined) this.#rest(now - dialedMs, now);
    this.#dialing.delete(candidate);
    candidate.state = "linked";
    this.#linked.set(candidate, now);
    candidate.notBeforeMs = -Infinity;
  }

  unlinked(peer: PeerId, now: Millis): void {
    const candidate = this.#candidates.get(peer);
    if (candidate === undefined) return;
    const linkedMs = this.#linked.get(candidate) ?? -Infinity;
    this.#linked.delete(candidate);
    candidate.state = "known";
    // A peer that has no room says so by ending the link: dialed every second by everybody, it would do
    // nothing else.
    if (now - linkedMs < this.#state.config.linkProvenMs) {
      this.#pause(candidate, now);
      return;
    }
    candidate.failures = 0;
    candidate.notBeforeMs = now + this.#jittered(this.#state.config.dialBackoffMs);
    this.#state.timers.lower(timer.dial, now);
  }

  /** A dial came to nothing. Answers how many times in a row by now, and 0 for one that wasn't ordered. */
  failed(peer: PeerId, now: Millis): number {
    const candidate = this.#candidates.get(peer);
    if (candidate === undefined || candidate.state !== "dialing") return 0;
    this.#dialing.delete(candidate);
    candidate.state = "known";
    this.#pause(candidate, now);
    return candidate.failures;
  }

  ban(peer: PeerId, now: Millis): void {
    const oldest = this.#bans.size >= bansMax ? this.#bans.keys().next().value : undefined;
    if (oldest !== undefined) this.#bans.delete(oldest);
    this.#bans.delete(peer);
    this.#bans.set(peer, now + banMs);
  }

  isBanned(peer: PeerId, now: Millis): boolean {
    const untilMs = this.#bans.get(peer);
    if (untilMs === undefined) return false;
    if (untilMs > now) return true;
    this.#bans.delete(peer);
    return false;
  }

  forgetArtifact(artifact: ArtifactSlot): void {
    for (const [peer, candidate] of this.#candidates) {
      candidate.artifacts = candidate.artifacts.filter((other) => other !== artifact);
      if (candidate.artifacts.length === 0 && candidate.state === "known") {
        this.#candidates.delete(peer);
      }
    }
  }

  countFor(artifact: ArtifactSlot): number {
    let count = 0;
    for (const { artifacts } of this.#candidates.values())
      if (artifacts.includes(artifact)) count += 1;
    return count;
  }

  /** Orders the dials that are wanted and allowed now. */
  dial(now: Millis): void {
    for (const artifact of this.#state.artifacts.values()) {
      if (!artifact.isComplete && !artifact.isPaused) this.#dialFor(artifact, now);
    }
  }

  #dialFor(artifact: Artifact, now: Millis): void {
    const { config, links } = this.#state;
    if (artifact.peers.length > 0 && now < this.#restUntilMs) {
      this.#state.timers.lower(timer.dial, this.#restUntilMs);
      return;
    }
    let have = artifact.peers.length;
    let seeders = artifact.peers.filter(({ link }) => link.known.seeder).length;
    let room = 1 + artifact.peers.length;
    for (const [{ artifacts, known }, dialedMs] of this.#dialing) {
      if (!artifacts.includes(artifact.slot)) continue;
      have += 1;
      if (known.seeder) seeders += 1;
      const patientUntilMs = dialedMs + config.dialPatienceMs;
      if (patientUntilMs <= now) continue;
      room -= 1;
      this.#state.timers.lower(timer.dial, patientUntilMs);
    }
    // Enough links may lead to none who has what is missing, as among ten hosts that are all linked to each other.
    const hungryMs = this.#state.fedMs + config.moreLinksAfterMs;
    const wanted = Math.max(config.linksWanted, hungryMs <= now ? have + 1 : 0);
    this.#state.timers.lower(
      timer.dial,
      hungryMs <= now ? now + config.moreLinksAfterMs : hungryMs,
    );
    while (
      room > 0 &&
      have < wanted &&
      this.#dialing.size < config.dialsMax &&
      links.size + this.#dialing.size < config.linksMax * outboundShare
    ) {
      const candidate = this.#choose(artifact, seeders, now);
      if (candidate === undefined) return;
      candidate.state = "dialing";
      this.#state.timers.lower(timer.dial, now + config.dialPatienceMs);
      this.#dialing.set(candidate, now);
      room -= 1;
      have += 1;
      if (candidate.known.seeder) seeders += 1;
      const { peerId, addresses } = candidate.known;
      this.#state.outputs.push({ type: "dial", peer: peerId, addresses });
    }
  }

  #choose({ slot, peers }: Artifact, seeders: number, now: Millis): Candidate | undefined {
    let best: Candidate | undefined;
    let bestRank = -1;
    let ties = 0;
    for (const candidate of this.#candidates.values()) {
      const { artifacts, state, known } = candidate;
      if (state !== "known" || !artifacts.includes(slot) || known.addresses.length === 0) continue;
      if (known.seeder && seeders >= seedersWanted) continue;
      if (this.isBanned(known.peerId, now)) continue;
      const turnMs = peers.length === 0 ? 0 : candidate.theirsSinceMs + this.#turnMs;
      const notBeforeMs = Math.max(candidate.notBeforeMs, turnMs);
      if (notBeforeMs > now) {
        this.#state.timers.lower(timer.dial, notBeforeMs);
        continue;
      }
      const rank = this.#rank(known, seeders);
      if (rank < bestRank) continue;
      ties = rank > bestRank ? 1 : ties + 1;
      if (ties === 1 || this.#state.prng.below(ties) === 0) best = candidate;
      bestRank = rank;
    }
    return best;
  }

  #rank({ seeder, zone }: KnownPeer, seeders: number): number {
    if (seeder) return seeders === 0 ? 3 : 0;
    return zone === this.#state.config.zone ? 2 : 1;
  }

  /** How long it is left to the other side to dial: longer where dials take long. */
  get #turnMs(): Millis {
    const { dialTurnMs, dialTurnMsMax } = this.#state.config;
    return Math.min(Math.max(dialTurnMs, dialsInTurn * this.#dialMs), dialTurnMsMax);
  }

  /** Where dials are quick, nobody rests. */
  #rest(tookMs: Millis, now: Millis): void {
    const { dialQuickMs, dialRestMsMax } = this.#state.config;
    this.#dialMs = Math.max(tookMs, this.#dialMs / 2);
    if (tookMs <= dialQuickMs) return;
    this.#restUntilMs = Math.max(this.#restUntilMs, now + Math.min(tookMs, dialRestMsMax));
  }

  #remember(known: KnownPeer): Candidate | undefined {
    const old = this.#candidates.get(known.peerId);
    if (old !== undefined) {
      // What a linked peer proved about itself isn't replaced by what others say of it.
      if (old.state !== "linked") old.known = known;
      return old;
    }
    if (this.#candidates.size >= candidatesMax && !this.#makeRoom()) return undefined;
    const candidate = new Candidate(known);
    this.#candidates.set(known.peerId, candidate);
    return candidate;
  }

  /** One more failure in a row: each doubles the pause, and the last one is for good. */
  #pause(candidate: Candidate, now: Millis): void {
    candidate.failures += 1;
    if (candidate.failures >= failuresMax) this.#candidates.delete(candidate.known.peerId);
    const { dialBackoffMs, dialBackoffMsMax } = this.#state.config;
    const pauseMs = Math.min(dialBackoffMs * 2 ** (candidate.failures - 1), dialBackoffMsMax);
    candidate.notBeforeMs = now + this.#jittered(pauseMs);
    this.#state.timers.lower(timer.dial, now);
  }

  #makeRoom(): boolean {
    for (const [peer, { state }] of this.#candidates) {
      if (state !== "known") continue;
      this.#candidates.delete(peer);
      return true;
    }
    return false;
  }

  /** Between half and all of a pause, so that those who lost the same peer don't come back at once. */
  #jittered(pauseMs: Millis): Millis {
    return pauseMs * (0.5 + this.#state.prng.next() / 2);
  }
}

/** Which of two dials first, the same for both; for each, half of the others. */
export function dialsFirst(self: PeerId, other: PeerId): boolean {
  const isEven = (lastCode(self) + lastCode(other)) % 2 === 0;
  return isEven === self < other;
}

function lastCode(id: PeerId): number {
  return id.charCodeAt(id.length - 1);
}
