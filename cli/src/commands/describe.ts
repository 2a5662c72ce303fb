// The API's answers as text for a person.
import type { Build, Rollout, Service, Region } from "@shoal/api/control-plane";
import type { Environment } from "@shoal/api/environments";
import type { HostStatus } from "@shoal/api/seeder";
import { renderTable } from "../table.ts";
import { formatBytes, formatDuration, shortId } from "../units.ts";

export function describeBuild(build: Build): string {
  const facts = [
    `build     ${build.id} of ${build.project} at ${shortId(build.commit)}`,
    `state     ${build.state}${build.attempt > 1 ? ` (attempt ${build.attempt})` : ""}`,
  ];
  if (build.failure !== null)
    facts.push(
      `failure   ${build.failure.message} (${build.failure.code}, ${build.failure.blame})`,
    );
  if (build.artifact !== null)
    facts.push(`artifact  ${build.artifact}, ${formatBytes(build.artifactBytes ?? 0)}`);
  if (build.bytesUploaded !== null)
    facts.push(`uploaded  ${formatBytes(build.bytesUploaded)} that the region lacked`);
  if (build.artifact !== null) facts.push(`regions   ${build.regionsHolding.join(", ") || "none"}`);
  if (build.regionsMissing.length > 0) facts.push(`missing   ${build.regionsMissing.join(", ")}`);
  return facts.join("\n");
}

export function describeRollout(rollout: Rollout): string {
  const lines = [
    `rollout   ${rollout.id}: ${rollout.kind} of ${shortId(rollout.release.commit)} to ${rollout.environment}/${rollout.service}`,
    `state     ${rollout.state}, wave ${Math.min(rollout.wave + 1, rollout.waves)} of ${rollout.waves}, open to ${rollout.hostsOpen} of ${rollout.hosts} hosts`,
  ];
  const counts = rollout.counts;
  if (counts !== null) {
    lines.push(
      `hosts     ${counts.holding} hold it, ${counts.healthy} run it healthily, ${counts.failed} failed`,
    );
  }
  lines.push(`asked by  ${rollout.by}`);
  if (rollout.reason !== "") lines.push(`why       ${rollout.reason}`);
  return lines.join("\n");
}

export function describeBuilds(builds: readonly Build[]): string {
  return renderTable(
    ["BUILD", "PROJECT", "COMMIT", "STATE", "SIZE", "UPLOADED", "TOOK", "REGIONS"],
    builds.map((build) => [
      String(build.id),
      build.project,
      shortId(build.commit),
      build.state,
      build.artifactBytes === null ? "" : formatBytes(build.artifactBytes),
      build.bytesUploaded === null ? "" : formatBytes(build.bytesUploaded),
      build.endedAt === null
        ? ""
        : formatDuration(Date.parse(build.endedAt) - Date.parse(build.createdAt)),
      build.regionsHolding.join(", "),
    ]),
  );
}

export function describeServices(services: readonly Service[]): string {
  return renderTable(
    ["SERVICE", "PROJECT", "RUNS", "RELEASE"],
    services.map((service) => [
      `${service.environment}/${service.name}`,
      service.project,
      service.current === null ? "nothing yet" : shortId(service.current.commit),
      service.current?.id ?? "",
    ]),
  );
}

export function describeEnvironments(environments: readonly Environment[]): string {
  return renderTable(
    ["ENVIRONMENT", "REGIONS", "HOSTS WITH", "TAKES", "BY ITSELF", "SERVICES"],
    environments.map((environment) => [
      environment.name,
      environment.regions?.join(", ") ?? "all",
      Object.entries(environment.selector)
        .map(([label, value]) => `${label}=${value}`)
        .join(", "),
      environment.promotesFrom === null ? "any build" : `what ran in ${environment.promotesFrom}`,
      [
        ...(environment.deploysBranch === null ? [] : [`branch ${environment.deploysBranch}`]),
        ...(environment.promotesAfterMs === null
          ? []
          : [`after ${formatDuration(environment.promotesAfterMs)}`]),
      ].join(", "),
      String(environment.services),
    ]),
  );
}

export function describeRegions(regions: readonly Region[]): string {
  return renderTable(
    ["REGION", "HOME", "IN SERVICE", "SEEDERS", "HOSTS"],
    regions.map((region) => [
      region.name,
      region.home ? "yes" : "",
      region.inService ? "yes" : "no",
      String(region.seeders.length),
      String(region.hosts),
    ]),
  );
}

export function describeRollouts(rollouts: readonly Rollout[]): string {
  return renderTable(
    ["ROLLOUT", "SERVICE", "KIND", "COMMIT", "STATE", "WAVE", "HOSTS", "WHY"],
    rollouts.map((rollout) => [
      String(rollout.id),
      `${rollout.environment}/${rollout.service}`,
      rollout.kind,
      shortId(rollout.release.commit),
      rollout.state,
      `${Math.min(rollout.wave + 1, rollout.waves)}/${rollout.waves}`,
      `${rollout.counts?.healthy ?? 0}/${rollout.hosts}`,
      rollout.reason,
    ]),
  );
}

/** `commits` maps release ids to commits, where the caller knows them. */
export function describeHosts(
  hosts: readonly HostStatus[],
  commits: ReadonlyMap<string, string>,
): string {
  const rows = hosts.flatMap((host) =>
    host.services.map((service) => [
      host.host,
      `${host.region}/${host.zone}`,
      `${service.environment}/${service.service}`,
      service.state,
      service.running === null ? "" : shortId(commits.get(service.running) ?? service.running),
      service.healthy ? "yes" : "no",
      service.failed === null
        ? service.waitsFor
        : `${service.failed.code}: ${service.failed.message}`,
      formatDuration(host.seenMsAgo),
    ]),
  );
  return renderTable(
    ["HOST", "WHERE", "SERVICE", "STATE", "RUNS", "HEALTHY", "WAITS FOR", "SEEN AGO"],
    rows,
  );
}
