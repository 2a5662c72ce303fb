// Who may join with which token: the same rule at the control plane, which counts each use as it happens,
// and at a seeder that counts by itself while the control plane is down (PROTOCOL.md 5.1).
import { digest, toHex } from "../digest.ts";
import { remoteError, type ShoalError } from "../error.ts";
import type { PeerId } from "../ids.ts";

type Labels = Readonly<Record<string, string>>;

/** What is known of a join token beside its hash. */
export interface JoinToken {
  readonly role: "host" | "builder" | "seeder";
  readonly region: string;
  /** A host that joins with it has these; where one is named here, it may bring no other value. */
  readonly labels: Labels;
  /** 0 <= usesLeft. */
  readonly usesLeft: number;
  readonly expiresAtMs: number;
}

export type JoinJudgment =
  | { readonly type: "admitted"; readonly labels: Labels }
  | { readonly type: "refused"; readonly error: ShoalError };

/** Who brings a token. */
export interface Joiner {
  readonly role: JoinToken["role"];
  /** Null: that of the token. */
  readonly region: string | null;
  readonly labels: Labels;
}

/** Judges who brings a token; null is a token that nobody knows. */
export function judgeJoin(token: JoinToken | null, host: Joiner, nowMs: number): JoinJudgment {
  if (token === null) return refused("join_token_invalid", "The join token is unknown.");
  if (token.role !== host.role) {
    return refused("join_token_role_wrong", `The join token is for a ${token.role}.`);
  }
  if (host.region !== null && token.region !== host.region) {
    return refused("join_token_region_wrong", `The join token is for region ${token.region}.`);
  }
  const wrong = Object.keys(token.labels).find(
    (label) => (host.labels[label] ?? token.labels[label]) !== token.labels[label],
  );
  if (wrong !== undefined) {
    return refused("join_labels_wrong", `The join token gives label ${wrong} another value.`);
  }
  if (nowMs >= token.expiresAtMs) return refused("join_token_expired", "The join token has ended.");
  if (token.usesLeft < 1) {
    return refused("join_token_used_up", "The join token has let in as many as it may.");
  }
  return { type: "admitted", labels: { ...host.labels, ...token.labels } };
}

/**
 * The one seeder of a region that counts a token's uses while the control plane is down: all of them
 * come to the same answer from the same list. Null for an empty list.
 */
export function countingSeeder(tokenHash: string, seeders: readonly PeerId[]): PeerId | null {
  let first: { readonly peerId: PeerId; readonly rank: string } | null = null;
  for (const peerId of seeders) {
    const rank = toHex(digest(new TextEncoder().encode(`shoal.join ${tokenHash} ${peerId}`)));
    if (first === null || rank < first.rank) first = { peerId, rank };
  }
  return first?.peerId ?? null;
}

function refused(code: string, message: string): JoinJudgment {
  return { type: "refused", error: remoteError(code, message) };
}
