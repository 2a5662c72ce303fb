// What the demo with many services found out, and how it is shown.
import type { Rollout } from "@shoal/api/control-plane";
import { renderTable } from "../table.ts";
import { formatDuration } from "../units.ts";

export interface ServiceFacts {
  readonly service: string;
  readonly selector: Readonly<Record<string, string>>;
  /** That the selector takes. */
  readonly hosts: number;
  /** Deployed, which isn't what the hosts end with when it is bad. */
  readonly version: string;
  readonly state: Rollout["state"];
  readonly runs: string;
  /** Selected hosts that run that healthily. */
  readonly converged: number;
  /** More hosts that run the service than were selected: 0, or something is wrong. */
  readonly elsewhere: number;
  readonly seconds: number;
  readonly reason: string;
  readonly ok: boolean;
}

export interface ServicesFacts {
  readonly ok: boolean;
  readonly seconds: number;
  readonly first: readonly ServiceFacts[];
  readonly second: readonly ServiceFacts[];
}

export function renderServices({ second }: ServicesFacts): string {
  const table = renderTable(
    ["SERVICE", "SELECTOR", "DEPLOYED", "ROLLOUT", "TOOK", "RUNS", "ON HOSTS", "WHY"],
    second.map((service) => [
      service.service,
      Object.entries(service.selector)
        .map(([label, value]) => `${label}=${value}`)
        .join(", ") || "all hosts",
      service.version,
      service.state,
      formatDuration(service.seconds * 1000),
      service.runs,
      `${service.converged}/${service.hosts}`,
      service.state === "SUCCEEDED" ? "" : service.reason,
    ]),
  );
  const converged = second.filter(({ state, ok }) => ok && state === "SUCCEEDED").length;
  const back = second.filter(({ state, ok }) => ok && state === "FAILED").length;
  return `${table}\n\n${converged} services converged, ${back} went back`;
}
