// What the control plane may sign, and whom it believes: its keys and the trust document, as they are
// at each moment. The only place that holds secret keys.
import type { Envelope } from "@shoal/api/names";
import {
  delegationMs,
  ingestGrantMs,
  inspectGrantMs,
  passportMs,
  pullGrantMs,
} from "@shoal/core/limits";
import type { Goal } from "@shoal/core/rollout/goal";
import { type Delegation, issueDelegation } from "@shoal/trust/delegation";
import { signGoal } from "@shoal/trust/goal-envelope";
import { type GrantFacts, issueGrant } from "@shoal/trust/grant";
import type { KeyFile } from "@shoal/trust/key-file";
import { type PassportFacts, issuePassport } from "@shoal/trust/passport";
import { type Revocations, signRevocations } from "@shoal/trust/revocations";
import { verifyStatement } from "@shoal/trust/statement";
import type { TrustDocument } from "@shoal/trust/trust-document";

export interface AuthorityKeys {
  readonly goals: KeyFile;
  readonly passports: KeyFile;
  readonly grants: KeyFile;
}

const grantMs = { ingest: ingestGrantMs, pull: pullGrantMs, inspect: inspectGrantMs };

export class Authority {
  readonly #keys: () => AuthorityKeys;
  readonly #trust: () => TrustDocument;
  readonly #now: () => number;

  constructor(deps: {
    readonly keys: () => AuthorityKeys;
    readonly trust: () => TrustDocument;
    readonly now: () => number;
  }) {
    this.#keys = deps.keys;
    this.#trust = deps.trust;
    this.#now = deps.now;
  }

  /** Goals signed with another key are signed again. */
  get goalKeyId(): string {
    return this.#keys().goals.keyId;
  }

  /** Revocations signed with another key are signed again. */
  get passportKeyId(): string {
    return this.#keys().passports.keyId;
  }

  /** Milliseconds since 1970. */
  nowMs(): number {
    return this.#now();
  }

  signGoal(goal: Goal): Envelope {
    return signGoal(this.#keys().goals, goal);
  }

  signRevocations(list: Pick<Revocations, "epoch" | "version" | "peers">): Envelope {
    const issuedAt = new Date(this.#now()).toISOString();
    const document = { format: "shoal.revocations/v1", ...list, issuedAt } as const;
    return signRevocations(this.#keys().passports, document);
  }

  issueGrant(facts: GrantFacts): Promise<string> {
    return issueGrant(this.#keys().grants, facts, grantMs[facts.scope], this.#now());
  }

  issuePassport(facts: PassportFacts): Promise<string> {
    return issuePassport(this.#keys().passports, facts, passportMs, this.#now());
  }

  /** Leave for a seeder to issue passports to hosts of its region. */
  issueDelegation(facts: Delegation): Promise<string> {
    return issueDelegation(this.#keys().passports, facts, delegationMs, this.#now());
  }

  /** Throws unless a trusted builder key says that this commit of the project became the artifact. */
  verifyStatement(
    envelope: Envelope,
    expected: { readonly project: string; readonly artifact: string },
  ): { readonly commit: string } {
    return verifyStatement(envelope, this.#trust(), { nowMs: this.#now(), ...expected });
  }
}
