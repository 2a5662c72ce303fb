// What each host of the region last said, in memory: after a restart hosts say it again within a beat.
import type { HostReport, HostStatus } from "@shoal/api/seeder";
import { ShoalError } from "@shoal/core/error";
import type { PeerId } from "@shoal/core/ids";
import { hostForgottenMs, regionHostsMax } from "@shoal/core/limits";
import type { Passport } from "@shoal/trust/passport";

export interface KnownHost {
  readonly peerId: PeerId;
  readonly host: string;
  readonly region: string;
  readonly zone: string;
  readonly environment: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly report: HostReport;
  readonly seenAtMs: number;
}

export class HostTable {
  readonly #hosts: Map<PeerId, KnownHost> = new Map();

  /** Takes a report. Answers whether anything but the time has changed. Throws `region_full`. */
  report(passport: Passport, report: HostReport, nowMs: number): boolean {
    const known = this.#hosts.get(passport.peerId);
    if (known === undefined && this.#hosts.size >= regionHostsMax) {
      throw new ShoalError("region_full", "This seeder knows too many hosts.", {
        blame: "environment",
      });
    }
    const { peerId, host, region, zone, environment, labels } = passport;
    this.#hosts.set(peerId, {
      peerId,
      host,
      region,
      zone,
      environment,
      labels,
      report,
      seenAtMs: nowMs,
    });
    return (
      known === undefined ||
      JSON.stringify(known.report.services) !== JSON.stringify(report.services)
    );
  }

  /** What a host last said of its services; nothing before its first report. */
  servicesOf(peerId: PeerId): HostReport["services"] {
    return this.#hosts.get(peerId)?.report.services ?? [];
  }

  /** All hosts; ones that were silent for a day are forgotten first. */
  hosts(nowMs: number): readonly KnownHost[] {
    for (const [peerId, host] of this.#hosts)
      if (nowMs - host.seenAtMs > hostForgottenMs) this.#hosts.delete(peerId);
    return [...this.#hosts.values()];
  }

  /** One page in the order of host id and peer id; `after` is what the last page answered. */
  page(
    nowMs: number,
    limit: number,
    after: string | undefined,
  ): { readonly items: HostStatus[]; readonly nextCursor: string | null } {
    const order = (host: KnownHost): string => `${host.host} ${host.peerId}`;
    const rest = this.hosts(nowMs)
      .filter((host) => after === undefined || order(host) > after)
      .toSorted((a, b) => (order(a) < order(b) ? -1 : 1));
    const items = rest.slice(0, limit);
    const last = items.at(-1);
    return {
      items: items.map(({ report, seenAtMs, region, zone, labels, peerId }) => ({
        ...report,
        region,
        zone,
        labels: { ...labels },
        peerId,
        seenMsAgo: Math.max(0, nowMs - seenAtMs),
      })),
      nextCursor: rest.length > limit && last !== undefined ? order(last) : null,
    };
  }
}
