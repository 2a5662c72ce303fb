// Why a build waits, in words: the first reason that holds it up, and when it may start.
import type { BuildWhy } from "@shoal/api/control-plane";
import type { Queries } from "../db/connection.ts";
import { type WaitFacts, findWait } from "../db/queue-view.ts";
import { notFound } from "./not-found.ts";

export async function explainWait(queries: Queries, id: number, nowMs: number): Promise<BuildWhy> {
  const facts = await findWait(queries, id);
  if (facts === null) throw notFound("build", id);
  const { started, startedWithinMs, notBefore, ...shown } = facts;
  const perMs = started / startedWithinMs;
  const position = facts.position ?? 0;
  const held = facts.cap.reached || facts.builders.matching === 0;
  const startMs =
    position === 0 || held || perMs === 0
      ? null
      : Math.max(notBefore?.getTime() ?? 0, nowMs + (position - 1) / perMs);
  return {
    ...shown,
    notBefore: notBefore?.toISOString() ?? null,
    summary: summarize(facts, nowMs),
    expectedStartAt: startMs === null ? null : new Date(startMs).toISOString(),
  };
}

function summarize(facts: WaitFacts, nowMs: number): string {
  const { state, position, notBefore, cap, builders, share } = facts;
  if (state !== "QUEUED" || position === null) return `The build is ${state}: it doesn't wait.`;
  if (notBefore !== null) {
    const seconds = Math.ceil((notBefore.getTime() - nowMs) / 1000);
    return `It isn't due before ${notBefore.toISOString()}, in ${seconds} s.`;
  }
  const wanted = Object.entries(builders.labels).map(([key, value]) => `${key}=${value}`);
  if (builders.matching === 0) {
    const labels = wanted.length === 0 ? "" : ` with ${wanted.join(", ")}`;
    return `No builder${labels} was heard of lately; ${builders.known} others were.`;
  }
  if (cap.reached) {
    return `Its project runs ${cap.running} builds, and ${cap.max} is its cap: one has to end first.`;
  }
  const turns =
    share.total > share.own ? ` Its project has ${share.own} of every ${share.total} starts.` : "";
  if (position === 1) {
    return builders.idle > 0
      ? `It is next, and a builder is idle.${turns}`
      : `It is next; all ${builders.matching} builders that fit are busy.${turns}`;
  }
  return `${position - 1} builds are ahead of it.${turns}`;
}
