// Reports of test stages, one for each attempt that had one.
import { type BuildTests, type TestReport, buildTests } from "@shoal/api/test-report";
import { type LeaseProof, leaseCounts } from "./build-queue.ts";
import type { Queries } from "./connection.ts";
import { isoDates } from "./iso-dates.ts";

/** Keeps the report of the attempt that a lease is for; false when the lease doesn't count. */
export async function keepTests(
  queries: Queries,
  lease: LeaseProof,
  report: TestReport,
): Promise<boolean> {
  const kept = await queries`
    insert into build_tests (build, attempt, report)
    select b.id, b.attempt, ${queries.json(report)} from leases l, fleet f, builds b
    where ${leaseCounts(queries, lease)} and b.id = l.build
    on conflict (build, attempt) do update set report = excluded.report, reported_at = now()`;
  return kept.count > 0;
}

/** In the order of the attempts. */
export async function listTests(queries: Queries, build: number): Promise<BuildTests[]> {
  const rows = await queries<Record<string, unknown>[]>`
    select attempt, reported_at as "reportedAt", report from build_tests
    where build = ${build} order by attempt`;
  return rows.map((row) => buildTests.parse(isoDates(row)));
}
