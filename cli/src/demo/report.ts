// What the demo found out, and how it is shown.
import type { Build, Rollout } from "@shoal/api/control-plane";
import type { HostStatus } from "@shoal/api/seeder";
import { renderTable } from "../table.ts";
import { formatBytes, formatDuration, shortId } from "../units.ts";

/** One version's way from the deploy command to the end of its rollout. */
export interface DeployFacts {
  readonly version: string;
  readonly commit: string;
  readonly rollout: number;
  readonly state: Rollout["state"];
  readonly reason: string;
  readonly hosts: number;
  /** Hosts that run healthily, at its end, what they should: this version, or the one before where it failed. */
  readonly converged: number;
  readonly seconds: number;
  readonly prepareSeconds: number;
  readonly switchSeconds: number;
  readonly bytesFromSeeders: number;
  readonly bytesFromPeers: number;
  readonly bytesReused: number;
}

export interface DemoFacts {
  readonly ok: boolean;
  readonly seconds: number;
  /** Name of the service that was deployed. */
  readonly service: string;
  readonly builds: readonly (Build & { readonly version: string })[];
  readonly deploys: readonly DeployFacts[];
  readonly hosts: readonly HostStatus[];
  /** Version by release id. */
  readonly versions: Readonly<Record<string, string>>;
  /** What the control plane said when a failed version was deployed once more: "" that it may, null without one. */
  readonly refusal: string | null;
}

/** Sums of what the hosts say of one artifact. */
export function sumFetches(
  hosts: readonly HostStatus[],
  artifact: string,
): Pick<DeployFacts, "bytesFromSeeders" | "bytesFromPeers" | "bytesReused"> {
  const fetches = hosts.flatMap((host) =>
    host.fetches.filter((fetch) => fetch.artifact === artifact),
  );
  return {
    bytesFromSeeders: sum(fetches.map((fetch) => fetch.bytesFromSeeders)),
    bytesFromPeers: sum(fetches.map((fetch) => fetch.bytesFromPeers)),
    bytesReused: sum(fetches.map((fetch) => fetch.bytesReused)),
  };
}

/** The tables at the end of the demo. */
export function renderFacts(facts: DemoFacts): string {
  const deploys = renderTable(
    [
      "DEPLOY",
      "ROLLOUT",
      "ON HOSTS",
      "FROM SEEDERS",
      "FROM PEERS",
      "REUSED",
      "FETCHED IN",
      "SWITCHED IN",
      "WHY",
    ],
    facts.deploys.map((deploy) => [
      deploy.version,
      deploy.state,
      `${deploy.converged}/${deploy.hosts}`,
      formatBytes(deploy.bytesFromSeeders),
      formatBytes(deploy.bytesFromPeers),
      formatBytes(deploy.bytesReused),
      formatDuration(deploy.prepareSeconds * 1000),
      formatDuration(deploy.switchSeconds * 1000),
      deploy.state === "SUCCEEDED" ? "" : deploy.reason,
    ]),
  );
  const releases = renderTable(
    ["REGION", "HOST", "SERVICE", "RUNS", "STATE", "FETCHED FROM SEEDERS", "FROM PEERS", "WHY"],
    facts.hosts.map((host) => {
      const service = host.services.find((candidate) => candidate.service === facts.service);
      return [
        host.region,
        host.host,
        service === undefined ? "" : `${service.environment}/${service.service}`,
        service?.running == null ? "nothing" : (facts.versions[service.running] ?? service.running),
        service?.healthy === true ? "healthy" : (service?.state ?? "unknown"),
        formatBytes(sum(host.fetches.map((fetch) => fetch.bytesFromSeeders))),
        formatBytes(sum(host.fetches.map((fetch) => fetch.bytesFromPeers))),
        service?.healthy === true ? "" : (service?.failed?.message ?? service?.waitsFor ?? ""),
      ];
    }),
  );
  const refusal =
    facts.refusal === null
      ? []
      : [`Deployed once more, the last version was refused: ${facts.refusal}`];
  return [renderBuilds(facts), deploys, releases, ...refusal].join("\n\n");
}

function renderBuilds({ builds }: DemoFacts): string {
  return renderTable(
    [
      "BUILD",
      "COMMIT",
      "STATE",
      "ARTIFACT",
      "UPLOADED",
      "QUEUED",
      "BUILT",
      "REPLICATED",
      "REGIONS",
    ],
    builds.map((build) => [
      build.version,
      shortId(build.commit),
      build.state,
      formatBytes(build.artifactBytes ?? 0),
      formatBytes(build.bytesUploaded ?? 0),
      between(build.createdAt, build.leasedAt),
      between(build.leasedAt, build.publishedAt),
      between(build.publishedAt, build.endedAt),
      build.regionsHolding.join(", "),
    ]),
  );
}

function between(from: string | null, to: string | null): string {
  return from === null || to === null ? "" : formatDuration(Date.parse(to) - Date.parse(from));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
