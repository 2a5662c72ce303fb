// While anybody holds a snapshot open, what has left the queue and what leases there were stay in the
// indexes, and the statistics count none of it: a plan that walks an index from end to end looks cheap,
// and takes longer with every build. Counted in index entries that Postgres says it read.
import { afterAll, beforeAll, expect, test } from "vitest";
import { endAttempts, extendLeases } from "./db/build-queue.ts";
import { claimNext } from "./db/claims.ts";
import { type Queries, inTransaction } from "./db/connection.ts";
import { type TestFleet, TestServer, startFleet } from "./test-fleet.ts";

const over = 20_000;
const builders = ["b0", "b1", "b2", "b3"];

let server: TestServer;
let fleet: TestFleet;
let release: () => Promise<void>;

beforeAll(async () => {
  server = await TestServer.start();
  fleet = await startFleet(server);
  const { admin, database } = fleet;
  await admin.regions.create({ name: "east", home: true });
  const source = { remoteUrl: "/srv/code", buildCommand: "make", artifactPath: "out" };
  await admin.projects.create({ name: "greeter", ...source });
  await database`
    insert into builds (project, commit_id, priority, tag)
    select 'greeter', 'a' || lpad(to_hex(n), 39, '0'), 0, n from generate_series(1, 1000) n`;
  release = await holdSnapshot();
  await database`
    insert into leases (builder, holder, build, fence, project)
    select 'b' || n % 4, 'h', 1000000 + n, n, 'greeter' from generate_series(1, ${over}) n`;
  await database`delete from leases`;
});
afterAll(async () => {
  await release();
  await fleet[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

async function holdSnapshot(): Promise<() => Promise<void>> {
  const held = await fleet.database.reserve();
  await held`begin isolation level repeatable read`;
  await held`set local idle_in_transaction_session_timeout = 0`;
  await held`select count(*) from leases`;
  return async () => {
    await held`rollback`;
    held.release();
  };
}

/** Claims, keeps and ends builds of every builder, as calls that came together; answers what it read. */
async function readBy(queries: Queries): Promise<Record<string, number>> {
  const claiming = builders.map((builder) => ({ builder, holder: "h", after: String(over) }));
  const none = { labels: {}, notes: [] };
  const entries: Record<string, number> = {};
  const count = async <Answer>(name: string, call: () => Promise<Answer>): Promise<Answer> => {
    const before = await entriesRead(queries);
    const answer = await call();
    entries[name] = (await entriesRead(queries)) - before;
    return answer;
  };
  const answers = await count("claim", () =>
    claimNext(queries, claiming, none, { lane: 0, tag: 0 }),
  );
  const leases = answers.map((answer) => {
    if (answer.type !== "claimed") throw new Error(answer.type);
    return { build: answer.claim.build, fence: answer.claim.fence, holder: "h" };
  });
  const kept = await count("beat", () => extendLeases(queries, leases));
  const end = { event: "failedByUser", outcome: "failed" } as const;
  const states = await count("end", () =>
    endAttempts(
      queries,
      leases.map((lease) => ({ lease, end })),
    ),
  );
  expect([...kept, ...states]).not.toContain(null);
  return entries;
}

async function entriesRead(queries: Queries): Promise<number> {
  const [row] = await queries<{ entries: number }[]>`
    select sum(pg_stat_get_xact_tuples_returned(indexrelid))::int as entries from pg_stat_user_indexes`;
  return row?.entries ?? 0;
}

test.each([
  ["before anything is known of the tables", "select 1"],
  ["with statistics of no lease", "vacuum (analyze) leases"],
  [
    "with statistics of one",
    "insert into leases (builder, holder, build, fence, project) values ('b9', 'h', 5000000, 1, 'greeter'); analyze leases",
  ],
])("claims, beats and ends read few index entries %s", async (_when, statement) => {
  await fleet.database.unsafe(statement);
  for (let turn = 0; turn < 3; turn += 1) {
    const entries = await inTransaction(fleet.database, readBy);
    const many = Object.entries(entries).filter(([, read]) => read > 200);
    expect(Object.fromEntries(many)).toEqual({});
  }
});
