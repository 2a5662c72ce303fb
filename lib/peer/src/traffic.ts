// What a node has moved so far, for metrics: sums that only grow.
import type { KnownPeer } from "@shoal/core/wire/messages";
import type { Bytes, Millis } from "@shoal/core/units";

export interface ReceivedBytes {
  readonly source: "peer" | "seeder";
  readonly zone: "same" | "other";
  readonly bytes: Bytes;
}

export interface TrafficTotals {
  /** Verified and stored, one for each source and zone. */
  readonly received: readonly ReceivedBytes[];
  /** Bytes that didn't hash to what was asked for. */
  readonly refusedBytes: Bytes;
  readonly sentBytes: Bytes;
  readonly linksCount: number;
  /** Requests of ours that aren't answered yet. */
  readonly requestsCount: number;
}

export class Traffic {
  readonly #zone: string;
  readonly #answered: (ms: Millis) => void;
  readonly #received: Map<
    string,
    { source: "peer" | "seeder"; zone: "same" | "other"; bytes: Bytes }
  >;
  #refusedBytes: Bytes = 0;
  #sentBytes: Bytes = 0;

  /** `answered` hears how long each request took that was answered whole. */
  constructor(zone: string, answered: (ms: Millis) => void) {
    this.#zone = zone;
    this.#answered = answered;
    this.#received = new Map();
    for (const source of ["peer", "seeder"] as const)
      for (const zone of ["same", "other"] as const)
        this.#received.set(`${source}/${zone}`, { source, zone, bytes: 0 });
  }

  stored(from: KnownPeer | undefined, bytes: Bytes): void {
    const source = from?.seeder === true ? "seeder" : "peer";
    const zone = from?.zone === this.#zone ? "same" : "other";
    const sum = this.#received.get(`${source}/${zone}`);
    if (sum !== undefined) sum.bytes += bytes;
  }

  refused(bytes: Bytes): void {
    this.#refusedBytes += bytes;
  }

  sent(bytes: Bytes): void {
    this.#sentBytes += bytes;
  }

  answered(ms: Millis): void {
    this.#answered(ms);
  }

  totals(now: { readonly linksCount: number; readonly requestsCount: number }): TrafficTotals {
    const received = [...this.#received.values()].map((each) => ({ ...each }));
    return { received, refusedBytes: this.#refusedBytes, sentBytes: this.#sentBytes, ...now };
  }
}
