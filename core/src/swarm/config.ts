// What can be tuned in the scheduler without changing it. Bounds of collections are not here but in
// limits.ts; these are policies, with when each wins.
import {
  downloadBytesOpenMax,
  hostLinksMax,
  seederLinksMax,
  uploadSlotsForNewcomers,
  uploadSlotsMax,
  windowBytesMax,
  windowBytesMin,
} from "../limits.ts";
import type { PeerId } from "../ids.ts";
import type { Bytes, Millis } from "../units.ts";
import { mebibyte } from "../units.ts";

export interface SwarmConfig {
  /** A seeder offers each link other pieces, so that each goes out once before any goes out twice. */
  readonly seeder: boolean;
  /** This node, as others know it; empty when that doesn't matter. */
  readonly self: PeerId;
  /** Peers of the same zone go first. */
  readonly zone: string;
  readonly linksMax: number;
  /** Links of an artifact that this node dials for; it accepts more. 8 to 16 make a well-mixed graph. */
  readonly linksWanted: number;
  /** Without a request or a chunk for so long, one link more is wanted, and then another. */
  readonly moreLinksAfterMs: Millis;
  /** Dials at once. */
  readonly dialsMax: number;
  /** For so long, a dial of an artifact with few links keeps others of it waiting. */
  readonly dialPatienceMs: Millis;
  /** How long a host leaves it to the other one to dial, where that is whose turn it is; and at most. */
  readonly dialTurnMs: Millis;
  readonly dialTurnMsMax: Millis;
  /** A dial that took longer is followed by as long a rest, and at most so long. */
  readonly dialQuickMs: Millis;
  readonly dialRestMsMax: Millis;
  readonly downloadBytesOpenMax: Bytes;
  /** Share of that which only seeders are asked for. */
  readonly seederOpenShare: number;
  readonly windowBytesMin: Bytes;
  readonly windowBytesMax: Bytes;
  /** A window holds what a link delivers in this time: longer wins on long links, shorter at the end. */
  readonly windowMs: Millis;
  /**
   * How many hosts are asked for something at once, unless more of them bring more: see ask-limit.ts. With 6 (and 5
   * quick slots) half of 1000 hosts (4 GiB) were done 1533 ms after size / rate, with 5 or 7 1611 to 1825 ms, and
   * with any number 2000 ms.
   */
  readonly hostsAsked: number;
  /** Uploads at once. */
  readonly uploadSlots: number;
  /**
   * Of these, how many at most take no longer than usual. Fewer let what few have spread sooner, and about as
   * many as hosts are asked at once find somebody to send to: half of 300 hosts (4 GiB) were done 1343 ms after size /
   * rate with 5, 1525 with 6 and 1778 with 7. The others are there because slow peers would fill so few.
   */
  readonly uploadSlotsQuick: number;
  readonly uploadSlotsForNewcomers: number;
  /**
   * A peer is served beside so many others that have no more than it, and one more for each
   * `piecesPerUpload` that it has: what few have arrives sooner where it is sent to few, and can be
   * passed on. In a world of 300 hosts that took a quarter of a second off the start.
   */
  readonly uploadsToEmpty: number;
  readonly piecesPerUpload: number;
  /** Says to whom it has room to serve, and asks hosts when they say so. */
  readonly invites: boolean;
  /**
   * How many more than there are uploads are invited, so that one can begin when another ends: where uploads are
   * short or answers slow. In a world of 400 hosts (1 GiB, uploads of 200 ms) two more each time, and patience of 5
   * instead of 20 ms, lost 0.13 s at the median and 0.19 s at the end, with 8% more events.
   */
  readonly invitesAhead: number;
  /** Patience with an invitation: at least and at most, and between them some times what answers take. */
  readonly inviteMs: Millis;
  readonly inviteMsMax: Millis;
  /** Who didn't answer an invitation gets no other for as long as so many uploads usually take. */
  readonly inviteAgainUploads: number;
  /** Without a request or a chunk for so long, a host is asked that didn't say that it has room, … */
  readonly uninvitedAfterMs: Millis;
  /** … and at once when it has never said so in this time, as hosts that don't know how. */
  readonly uninvitedSilentMs: Millis;
  /** A peer that offers fewer pieces of an artifact is a newcomer. */
  readonly newcomerPieces: number;
  /** How much sooner than others a peer of the same zone is served: it waits less, and nobody starves. */
  readonly nearHeadStartMs: Millis;
  /** What may be sent to other zones: so much over time, and so much at once after a pause. */
  readonly farBytesPerMs: number;
  readonly farBurstBytes: Bytes;
  /**
   * How much sooner a peer is served for each piece that it has less than we, and at most: less than a
   * stall. Without, the last of 100 hosts took 1.26 times the bound (2 GiB), half of them 1.09. Of 520
   * (4 GiB), 60 instead of 30 ms a piece took the last from 1.079 to 1.068.
   */
  readonly behindHeadStartMs: Millis;
  readonly behindHeadStartMsMax: Millis;
  /**
   * How much sooner a request is served when no peer is known to have the piece; nothing from
   * `rareShare` of the peers on. In a world of 300 hosts (4 GiB) it took 0.1 s off the median.
   */
  readonly rareHeadStartMs: Millis;
  readonly rareShare: number;
  /** How long a have may wait for company where the other side lacks the piece, … */
  readonly haveDelayMs: Millis;
  /** … where it has the piece, too, … */
  readonly haveDelayKnownMs: Millis;
  /**
   * … and how many go at once. Who hears late who has what invites in vain, and asks for what isn't rare any more: of 1000
   * hosts (10 GiB) half were done at 1.0196 of the bound with 5, at 1.0180 with 8 and at 1.0183 with 12, with 27, 24
   * and 23 million events.
   */
  readonly havesTogether: number;
  /** Without a chunk for this long, what a link was asked for goes elsewhere. */
  readonly requestStallMs: Millis;
  /** Without a chunk for this long, a link with open requests is dropped. */
  readonly linkStallMs: Millis;
  /** Both grow up to so many times where answers are slow on all links; see patience.ts. */
  readonly patienceMax: number;
  /** A link on which neither side can want anything is dropped after this. */
  readonly linkIdleMs: Millis;
  /** When everything is asked for, what is open for this long is also asked of an idle link. */
  readonly endgameMs: Millis;
  /** How many links may be asked for the same chunk at once. */
  readonly endgameCopies: number;
  /**
   * What a seeder keeps on offer over all links of an artifact: enough to keep its way up busy. More is
   * promised to somebody who must wait for it, and missing to all others meanwhile. In a world of 300
   * hosts and pieces of 4 MiB, two pieces for each of 256 links were so long in coming that links
   * stalled.
   */
  readonly offeredBytes: Bytes;
  /** And at least so many pieces. */
  readonly offeredPieces: number;
  /**
   * What one link is offered at most: so many pieces, or so many bytes if that is more; and its share of
   * `offeredPieces` once its peer is no newcomer.
   */
  readonly offeredPiecesPerLink: number;
  readonly offeredBytesPerLink: Bytes;
  /** What wasn't taken for so long doesn't count as on offer any more. */
  readonly offeredMs: Millis;
  /** A piece with so many copies among hosts isn't asked of a seeder while hosts deliver. */
  readonly commonCopies: number;
  /** First pause after a failed dial; doubles with each. */
  readonly dialBackoffMs: Millis;
  readonly dialBackoffMsMax: Millis;
  /** A link that ends sooner counts as a dial that failed: the peer had no room. */
  readonly linkProvenMs: Millis;
  /** Log every piece, not only what goes wrong. */
  readonly logPieces: boolean;
}

/** The configuration of a host or a seeder, with what is not given filled in. */
export function withDefaults(given: Partial<SwarmConfig>): SwarmConfig {
  return {
    seeder: false,
    self: "",
    zone: "",
    linksMax: given.seeder === true ? seederLinksMax : hostLinksMax,
    linksWanted: 10,
    moreLinksAfterMs: 5000,
    dialsMax: 8,
    dialPatienceMs: 1000,
    dialTurnMs: 1000,
    dialTurnMsMax: 5000,
    dialQuickMs: 250,
    dialRestMsMax: 1000,
    downloadBytesOpenMax,
    seederOpenShare: 1 / 6,
    windowBytesMin,
    windowBytesMax,
    windowMs: 150,
    hostsAsked: 6,
    uploadSlots: uploadSlotsMax,
    uploadSlotsQuick: 5,
    uploadSlotsForNewcomers,
    uploadsToEmpty: 2,
    piecesPerUpload: 3,
    invites: true,
    invitesAhead: 2,
    inviteMs: 20,
    inviteMsMax: 500,
    inviteAgainUploads: 1,
    uninvitedAfterMs: 500,
    uninvitedSilentMs: 10_000,
    newcomerPieces: 4,
    nearHeadStartMs: 200,
    farBytesPerMs: Infinity,
    farBurstBytes: 8 * mebibyte,
    behindHeadStartMs: 60,
    behindHeadStartMsMax: 4000,
    rareHeadStartMs: 2000,
    rareShare: 0.5,
    haveDelayMs: 600,
    haveDelayKnownMs: 2000,
    havesTogether: 8,
    requestStallMs: 8000,
    linkStallMs: 30_000,
    patienceMax: 4,
    linkIdleMs: 30_000,
    endgameMs: 500,
    endgameCopies: 2,
    offeredBytes: 8 * mebibyte,
    offeredBytesPerLink: 4 * mebibyte,
    offeredPieces: 12,
    offeredPiecesPerLink: 2,
    offeredMs: 1000,
    commonCopies: 2,
    dialBackoffMs: 1000,
    dialBackoffMsMax: 60_000,
    linkProvenMs: 3000,
    logPieces: false,
    ...given,
  };
}
