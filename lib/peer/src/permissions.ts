// Which open link may take part in which artifact, by the passport of its peer. Looked at when a link
// opens, an artifact is joined or a peer says that it joined, and now and then: goals change, passports
// expire. The rule itself is the caller's.
import type { ArtifactCid, PeerId } from "@shoal/core/ids";
import { permissionsMs } from "@shoal/core/limits";
import type { ArtifactSlot, LinkId } from "@shoal/core/swarm/events";
import type { Passport } from "@shoal/trust/passport";
import type { PeerLink } from "./peer-link.ts";

export interface PermissionsDeps {
  allows(artifact: ArtifactCid, passport: Passport): boolean;
  changed(link: PeerLink, artifact: ArtifactSlot, allowed: boolean): void;
  isRevoked(peer: PeerId): boolean;
  /** The passport of the link's peer isn't good any more. */
  ended(link: PeerLink, why: string): void;
}

/** A tenth of the links is looked at in each round, so that no round takes long. */
const rounds = 10;

export class Permissions {
  readonly #deps: PermissionsDeps;
  /** What was told last: the slots that each link is allowed. */
  readonly #allowed: Map<PeerLink, Set<ArtifactSlot>> = new Map();
  #slots: ReadonlyMap<ArtifactCid, ArtifactSlot> = new Map();
  readonly #timer: NodeJS.Timeout;
  #round = 0;

  constructor(deps: PermissionsDeps) {
    this.#deps = deps;
    this.#timer = setInterval(() => this.#lookAgain(), permissionsMs / rounds);
  }

  /** A link is open. `slots` is kept, and is the caller's to change. */
  add(link: PeerLink, slots: ReadonlyMap<ArtifactCid, ArtifactSlot>): void {
    this.#slots = slots;
    this.#allowed.set(link, new Set());
    for (const [cid, slot] of slots) this.look(link, cid, slot);
  }

  remove(link: PeerLink): void {
    this.#allowed.delete(link);
  }

  forget(slot: ArtifactSlot): void {
    for (const allowed of this.#allowed.values()) allowed.delete(slot);
  }

  /** Asks the rule now, and tells what changed. */
  look(link: PeerLink, cid: ArtifactCid, slot: ArtifactSlot): void {
    const allowed = this.#allowed.get(link);
    if (allowed === undefined) return;
    const isAllowed = this.#deps.allows(cid, link.passport);
    if (isAllowed === allowed.has(slot)) return;
    if (isAllowed) allowed.add(slot);
    else allowed.delete(slot);
    this.#deps.changed(link, slot, isAllowed);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #lookAgain(): void {
    this.#round = (this.#round + 1) % rounds;
    for (const link of [...this.#allowed.keys()]) {
      if (!isDue(link.id, this.#round)) continue;
      const why = this.#whyEnded(link.passport);
      if (why !== null) this.#deps.ended(link, why);
      else for (const [cid, slot] of this.#slots) this.look(link, cid, slot);
    }
  }

  #whyEnded({ expiresAtMs, peerId, issuer }: Passport): string | null {
    if (expiresAtMs <= Date.now()) return "has expired";
    const isRevoked = [peerId, issuer].some((id) => id !== null && this.#deps.isRevoked(id));
    return isRevoked ? "was revoked" : null;
  }
}

function isDue(link: LinkId, round: number): boolean {
  return link % rounds === round;
}
