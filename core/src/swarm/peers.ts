// What the machine remembers of a link, and of a peer in one artifact's swarm. Plain records that the
// other files of this folder read and write; a link has a peer record for each artifact that both may
// be members of.
import type { Bytes, Millis, PieceIndex } from "../units.ts";
import type { KnownPeer } from "../wire/messages.ts";
import type { Artifact } from "./artifact.ts";
import type { SwarmConfig } from "./config.ts";
import type { ArtifactSlot, LinkId } from "./events.ts";
import type { Request } from "./requests.ts";
import type { Upload } from "./uploads.ts";
import { Window } from "./window.ts";

export class Link {
  readonly id: LinkId;
  readonly known: KnownPeer;
  readonly isNear: boolean;
  readonly peers: Map<ArtifactSlot, Peer> = new Map();
  /** The same peers, those of the artifact with the highest priority first. */
  readonly byPriority: Peer[] = [];

  // What is asked of the other side.
  readonly window: Window;
  /** Open requests, those that we cancelled included, until the other side ends them. */
  readonly requests: Request[] = [];
  /** Asked for, not yet arrived and not cancelled. */
  bytesOpen: Bytes = 0;
  /** The last chunk, or the first request since nothing was open. */
  progressMs: Millis = 0;
  /** What it was asked for went elsewhere; until the next chunk it is asked for one run at a time. */
  isStalled = false;
  /** In the list of links to be asked for more. */
  isDirty = false;
  /** The other side has room for a request, and has said so since it was asked last. */
  isInviting = false;
  /** It has said so once: it does when it has room. */
  hasInvited = false;
  readonly openedMs: Millis;
  /** Would be asked for more if the node had not asked for all that its memory can take. */
  isStarved = false;

  // What the other side asks.
  readonly queue: Upload[] = [];
  active: Upload | undefined;
  servedMs: Millis = 0;
  /** When it was invited to ask; -Infinity while no invitation is open. */
  invitedMs: Millis = -Infinity;
  notInvitedBeforeMs: Millis = -Infinity;

  /** Since when neither side can want anything. */
  unneededSinceMs: Millis | undefined;

  constructor(id: LinkId, known: KnownPeer, config: SwarmConfig, now: Millis) {
    this.id = id;
    this.known = known;
    this.isNear = known.zone === config.zone;
    this.window = new Window(config);
    this.openedMs = now;
  }

  addPeer(peer: Peer): void {
    this.peers.set(peer.artifact.slot, peer);
    let place = this.byPriority.length;
    const { priority } = peer.artifact;
    while (place > 0 && (this.byPriority[place - 1] as Peer).artifact.priority < priority) {
      place -= 1;
    }
    this.byPriority.splice(place, 0, peer);
  }

  removePeer(peer: Peer): void {
    this.peers.delete(peer.artifact.slot);
    this.byPriority.splice(this.byPriority.indexOf(peer), 1);
  }
}

export class Peer {
  readonly link: Link;
  readonly artifact: Artifact;
  /** Whether our bitfield went out since either side joined last. */
  hasOurs = false;
  /** What the other side offers; undefined until its bitfield came. */
  offered: Uint8Array | undefined;
  offeredCount = 0;
  /** How many pieces we can serve that it doesn't offer, those it hasn't heard of included. */
  lackedCount = 0;
  /** Nothing that it offers is to be asked for, as of the last look. */
  isExhausted = false;

  // Haves that wait for company.
  pending: Uint32Array | undefined;
  pendingCount = 0;
  pendingDueMs: Millis = Infinity;
  /** The piece that was announced last, sent or waiting; undefined when none was since the bitfield. */
  announced: PieceIndex | undefined;

  // Only at a seeder: what this peer was shown, and how much of that it doesn't have yet.
  shown: Uint8Array | undefined;
  shownOpenCount = 0;
  shownOpenBytes: Bytes = 0;

  constructor(link: Link, artifact: Artifact) {
    this.link = link;
    this.artifact = artifact;
  }

  /** Both sides know what the other offers. */
  get isLive(): boolean {
    return this.hasOurs && this.offered !== undefined;
  }
}
