// What a rollout says to a person.
import type { FleetCounts } from "./verdict.ts";

export function describeWait(sums: FleetCounts, late: number, suspicious: number): string {
  const parts = [
    ...(late > 0 ? [`${late} of ${sums.open} open hosts to get healthy`] : []),
    ...(suspicious > 0 ? [`${suspicious} open hosts that went silent to report`] : []),
    ...(sums.unseen > 0 ? [`${sums.unseen} open hosts to report`] : []),
    ...(sums.unseen === 0 && sums.missing > 0
      ? [`${sums.missing} hosts that were known before to report`]
      : []),
  ];
  return `waits for ${parts.length === 0 ? "an open host to run it" : parts.join(" and ")}`;
}

export function describeEnd(sums: FleetCounts, late: number): string {
  const parts = [
    `${sums.healthy} of ${sums.open} open hosts are healthy`,
    ...(sums.failed > 0 ? [`${sums.failed} failed`] : []),
    ...(late > 0 ? [`${late} still fetch it`] : []),
    ...(sums.openSilent > 0 ? [`${sums.openSilent} are silent`] : []),
  ];
  return parts.join(", ");
}
