// Grants for builders to push with. One lasts for many heartbeats, so a lease's grant is kept and given
// again until half of its time is over. Kept grants are bounded: forgetting one costs a signature.
import { ingestGrantMs } from "@shoal/core/limits";
import type { Authority } from "../authority.ts";

export interface GrantedLease {
  readonly project: string;
  readonly build: number;
  readonly attempt: number;
  readonly fence: string;
}

const keptMax = 10_000;

export class IngestGrants {
  readonly #authority: Authority;
  readonly #kept = new Map<string, { readonly grant: Promise<string>; readonly untilMs: number }>();

  constructor(authority: Authority) {
    this.#authority = authority;
  }

  /** A grant of a lease at the home region, good for at least half of a grant's time. */
  grant(region: string, lease: GrantedLease): Promise<string> {
    const key = `${region}/${lease.fence}`;
    const nowMs = this.#authority.nowMs();
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.untilMs > nowMs) return kept.grant;
    const { project, build, attempt, fence } = lease;
    const facts = { scope: "ingest", regions: [region], project, build, attempt, fence } as const;
    const grant = this.#authority.issueGrant(facts);
    if (this.#kept.size >= keptMax) this.#kept.clear();
    this.#kept.set(key, { grant, untilMs: nowMs + ingestGrantMs / 2 });
    return grant;
  }
}
