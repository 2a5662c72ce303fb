// Builders and seeders that call, by the proofs that they show (PROTOCOL.md 3.9). A proof is verified once
// and remembered while it is good and the trust document stays; whether its owner was revoked meanwhile is
// looked up every `tokenKnownMs`, and while calls come once in half of that, so that none waits for it.
import { remoteError } from "@shoal/core/error";
import { tokenKnownMs, tokensKnownMax } from "@shoal/core/limits";
import { verifyCallProof } from "@shoal/trust/call-proof";
import type { TrustDocument } from "@shoal/trust/trust-document";
import type { Queries } from "../db/connection.ts";
import { isRevoked } from "../db/trust.ts";

export interface Member {
  readonly role: "builder" | "seeder";
  readonly name: string;
  readonly region: string;
  readonly peerId: string;
  /** That its join token gave it. */
  readonly labels: Readonly<Record<string, string>>;
}

interface Known {
  readonly member: Member;
  /** What it was verified by. */
  readonly trust: TrustDocument;
  readonly expiresAtMs: number;
  readonly lookedAtMs: number;
}

export interface KnownMembersDeps {
  readonly database: Queries;
  readonly trust: () => TrustDocument;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class KnownMembers {
  readonly #deps: KnownMembersDeps;
  readonly #known = new Map<string, Known>();
  /** Proofs whose owners are being looked up while they are still known. */
  readonly #ahead = new Set<string>();

  constructor(deps: KnownMembersDeps) {
    this.#deps = deps;
  }

  /** Throws what `verifyCallProof` throws, `passport_revoked` included. */
  async find(proof: string): Promise<Member> {
    const { trust, now } = this.#deps;
    const known = this.#known.get(proof);
    const isVerified = known?.trust === trust() && known.expiresAtMs > now();
    if (!isVerified) return this.#look(proof, await this.#verify(proof));
    const ageMs = performance.now() - known.lookedAtMs;
    if (ageMs >= tokenKnownMs) return this.#look(proof, known);
    if (ageMs >= tokenKnownMs / 2) this.#lookAhead(proof, known);
    return known.member;
  }

  async #look(proof: string, verified: Omit<Known, "lookedAtMs">): Promise<Member> {
    const lookedAtMs = performance.now();
    if (await isRevoked(this.#deps.database, verified.member.peerId)) {
      this.#known.delete(proof);
      throw remoteError("passport_revoked", `${verified.member.peerId} is revoked`);
    }
    if (this.#known.size >= tokensKnownMax) this.#known.clear();
    this.#known.set(proof, { ...verified, lookedAtMs });
    return verified.member;
  }

  /** One look at a time. What was forgotten meanwhile stays forgotten; a failure shows to who looks next. */
  #lookAhead(proof: string, known: Known): void {
    if (this.#ahead.has(proof)) return;
    this.#ahead.add(proof);
    const lookedAtMs = performance.now();
    void isRevoked(this.#deps.database, known.member.peerId)
      .then((revoked) => {
        if (this.#known.get(proof) !== known) return;
        if (revoked) this.#known.delete(proof);
        else this.#known.set(proof, { ...known, lookedAtMs });
      })
      .catch(() => undefined)
      .finally(() => this.#ahead.delete(proof));
  }

  /** Somebody was revoked: all are looked up again. Other control planes hear of it a moment later. */
  forget(): void {
    this.#known.clear();
  }

  async #verify(proof: string): Promise<Omit<Known, "lookedAtMs">> {
    const trust = this.#deps.trust();
    // The database says who is revoked, right after.
    const check = { nowMs: this.#deps.now(), isRevoked: () => false };
    const { passport, expiresAtMs } = await verifyCallProof(proof, trust, check);
    const { role, host, region, peerId, labels } = passport;
    if (role === "host") throw remoteError("passport_role_wrong", "a host has no business here");
    return { member: { role, name: host, region, peerId, labels }, trust, expiresAtMs };
  }
}
