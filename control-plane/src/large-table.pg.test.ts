// What is asked again and again reads few builds however many there are: loops look every second, and a
// look that reads a table of a million rows takes the processors that calls need. Counted in rows that
// Postgres says it read, so that a plan that turns bad fails here on any machine.
import { afterAll, beforeAll, expect, test } from "vitest";
import { retireArtifacts } from "./db/artifacts.ts";
import { promotionsDue, servicesToWatch, successfulBranchBuilds } from "./db/auto-deploys.ts";
import { commitsWithoutBuild, takeDueProjects } from "./db/branch-heads.ts";
import { listBuilds } from "./db/builds.ts";
import { takeDueStatuses } from "./db/commit-statuses.ts";
import { type Queries, inTransaction } from "./db/connection.ts";
import { servicesWithStaleGoals } from "./db/goals.ts";
import { logsToSeal } from "./db/log-segments.ts";
import { endReplicated, overdueCancels, overdueReplications, silentLeases } from "./db/overdue.ts";
import { servicesRollingOut } from "./db/rollouts.ts";
import { type TestFleet, TestServer, commitFor } from "./test-fleet.ts";
import { RolloutKit, regions } from "./test-rollouts.ts";

const others = 20_000;

let server: TestServer;
let fleet: TestFleet;

/** What loops look for stands behind very many builds that are over. */
beforeAll(async () => {
  server = await TestServer.start();
  const kit = await RolloutKit.start(server);
  fleet = kit.fleet;
  const { admin, database } = fleet;
  const few = { remoteUrl: "/srv/few", buildCommand: "make", artifactPath: "out" };
  await admin.projects.create({ name: "few", ...few, branches: ["main"] });
  for (const text of ["a", "b", "c"]) {
    await admin.builds.start({ project: "few", commit: commitFor(text) });
  }
  await database`update builds set state = 'FAILED', ended_at = now()`;
  await admin.environments.update("production", { deploysBranch: "main" });
  await admin.environments.update("staging", {
    promotesFrom: "production",
    promotesAfterMs: 60_000,
  });
  const run = { command: ["./greeter"], health: { type: "none" } } as const;
  await admin.services.create({ environment: "staging", name: "web", project: "greeter", run });
  await admin.projects.setCommitStatus("greeter", { url: "https://git.example.org/{commit}" });
  const { release } = await kit.deployAll("v1");
  for (const region of regions) await kit.report(region);
  await database`update services set well_since = now() - interval '1 hour', well_release = ${release}
    where environment = 'production'`;
  await kit.buildOf("v2");
  await database`update builds set state = 'REPLICATING', deadline_at = now() + interval '1 hour'
    where commit_id = ${commitFor("v2")}`;
  await admin.builds.start({ project: "greeter", commit: commitFor("v3") });
  await (await fleet.builder("b2")).builder.lease({ builder: "b2" });
  await database`
    insert into builds (project, commit_id, priority, tag, state, attempt, ended_at)
    select 'greeter', 'e' || lpad(to_hex(n), 39, '0'), 0, 0, 'FAILED', 1, now()
    from generate_series(1, ${others}) n`;
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** Rows of builds that one call reads once its plan is kept, which is after a few. */
async function rowsRead(call: (queries: Queries) => Promise<unknown>): Promise<number> {
  return inTransaction(fleet.database, async (queries) => {
    const read = async (): Promise<number> => {
      const [row] = await queries<{ rows: number }[]>`
        select (seq_tup_read + idx_tup_fetch)::int as rows
        from pg_stat_xact_user_tables where relname = 'builds'`;
      return row?.rows ?? 0;
    };
    for (let turn = 0; turn < 8; turn += 1) await call(queries);
    const before = await read();
    await call(queries);
    return (await read()) - before;
  });
}

const commits = [commitFor("a"), commitFor("v1"), "f".repeat(40)];
const calls: Readonly<Record<string, (queries: Queries) => Promise<unknown>>> = {
  silentLeases: (queries) => silentLeases(queries, 0, 200),
  overdueCancels: (queries) => overdueCancels(queries, 200),
  endReplicated: (queries) => endReplicated(queries, 200),
  overdueReplications: (queries) => overdueReplications(queries, 200),
  retireArtifacts: (queries) => retireArtifacts(queries, 1),
  takeDueStatuses: (queries) => takeDueStatuses(queries, 0, 200),
  takeDueProjects: (queries) => takeDueProjects(queries, 0, 200),
  commitsWithoutBuild: (queries) => commitsWithoutBuild(queries, "greeter", commits),
  logsToSeal: (queries) => logsToSeal(queries, 1000, 200),
  successfulBranchBuilds,
  servicesToWatch,
  promotionsDue,
  servicesRollingOut,
  servicesWithStaleGoals: (queries) => servicesWithStaleGoals(queries, "key", 200),
  list: (queries) => listBuilds(queries, { limit: 50 }),
  listOfMany: (queries) => listBuilds(queries, { limit: 50, project: "greeter" }),
  listOfFew: (queries) => listBuilds(queries, { limit: 50, project: "few" }),
  listOfNone: (queries) => listBuilds(queries, { limit: 50, project: "none" }),
};

/** What a sample of a million rows says, which has nothing of a project with three. */
const sampled = "alter table builds alter column project set (n_distinct = 1); analyze";

test.each([
  ["before anything is known of the table", ""],
  ["with statistics", "analyze"],
  ["with statistics of a sample", sampled],
])("loops and lists read few of many builds %s", async (_when, statement) => {
  await fleet.database.unsafe(statement);
  const read: Record<string, number> = {};
  for (const [name, call] of Object.entries(calls)) read[name] = await rowsRead(call);
  const many = Object.entries(read).filter(([, rows]) => rows > 100);
  expect(Object.fromEntries(many)).toEqual({});
});

test("lists a project's builds page by page, each once", async () => {
  const { builds } = fleet.admin;
  const first = await builds.list({ project: "few", limit: 2 });
  const second = await builds.list({ project: "few", limit: 2, cursor: first.nextCursor ?? "" });
  const listed = [...first.items, ...second.items].map(({ commit }) => commit);
  expect(listed).toEqual(["c", "b", "a"].map(commitFor));
  expect(second.nextCursor).toBeNull();
});
