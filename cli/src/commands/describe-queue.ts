// The queue, waits and attempts as text for a person.
import type { Attempt, BuildWhy, Queue } from "@shoal/api/control-plane";
import { renderTable } from "../table.ts";
import { formatDuration } from "../units.ts";

export function describeWhy(why: BuildWhy): string {
  const lines = [`build     ${why.build}: ${why.state}`, `why       ${why.summary}`];
  if (why.position !== null) lines.push(`position  ${why.position}`);
  if (why.aheadByProject.length > 0) {
    const projects = why.aheadByProject.map(({ project, builds }) => `${project} ${builds}`);
    const next = why.ahead.map(({ build }) => build).join(", ");
    lines.push(`ahead     ${projects.join(", ")}; next are builds ${next}`);
  }
  const { running, max } = why.cap;
  lines.push(`cap       ${running} running, ${max === null ? "no cap" : `at most ${max}`}`);
  lines.push(`share     ${why.share.own} of every ${why.share.total} starts of this priority`);
  const { matching, idle, known } = why.builders;
  lines.push(`builders  ${matching} of ${known} fit, ${idle} of them idle`);
  if (why.notBefore !== null) lines.push(`not due   before ${why.notBefore}`);
  lines.push(`expected  ${why.expectedStartAt ?? "can't be told"}`);
  return lines.join("\n");
}

export function describeQueue(queue: Queue): string {
  const facts = [
    `queued    ${queue.queued}, ${queue.due} of them due; the oldest waits for ${formatDuration(queue.oldestMs)}`,
    `running   ${queue.running}`,
    `builders  ${queue.builders.length}, ${queue.buildersWanted} wanted`,
  ];
  const refused = Object.entries(queue.refused).map(([call, count]) => `${call} ${count}`);
  if (refused.length > 0) facts.push(`refused   ${refused.join(", ")} late calls`);
  if (queue.builders.length === 0) return facts.join("\n");
  const rows = queue.builders.map((builder) => [
    builder.name,
    builder.build === null ? "" : String(builder.build),
    Object.entries(builder.labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(" "),
    builder.load === null ? "" : `${Math.round(builder.load["cpuPercent"] ?? 0)} %`,
    builder.draining ? "yes" : "",
    builder.seenAt,
  ]);
  const table = renderTable(["BUILDER", "BUILD", "LABELS", "CPU", "DRAINING", "SEEN"], rows);
  return `${facts.join("\n")}\n${table}`;
}

export function describeAttempts(attempts: readonly Attempt[]): string {
  return renderTable(
    ["ATTEMPT", "BUILDER", "OUTCOME", "TOOK", "REFUSED", "FAILURE"],
    attempts.map((attempt) => [
      String(attempt.attempt),
      attempt.builder,
      attempt.outcome ?? "runs",
      attempt.endedAt === null
        ? ""
        : formatDuration(Date.parse(attempt.endedAt) - Date.parse(attempt.leasedAt)),
      attempt.refused === 0 ? "" : String(attempt.refused),
      attempt.failure?.message ?? "",
    ]),
  );
}
