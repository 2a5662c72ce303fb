// Measures the queue's database part alone, without HTTP: claims builds one at a time and ends each at
// once, many at a time. Started by `npm run bench -- queue`; prints one JSON line. Not for a database
// that anybody needs.
import { z } from "zod";
import { openDatabase } from "../db/connection.ts";
import { fillQueue } from "../db/fill-queue.ts";
import { migrate } from "../db/migrate.ts";
import { insertProject } from "../db/projects.ts";
import { Wakeups } from "../db/wakeups.ts";
import { adoptDatabase } from "../operations/adopt-database.ts";
import { claimBuild } from "../operations/lease-build.ts";
import { QueueCalls } from "../operations/queue-calls.ts";
import { projectInput } from "@shoal/api/control-plane";

const input = z
  .strictObject({
    databaseUrl: z.string(),
    claimers: z.int().min(1).max(1000),
    builds: z.int().min(1).max(10_000_000),
    connections: z.int().min(1).max(1000),
    /** Claims that come at once share a statement, as in a control plane; otherwise each has its own. */
    together: z.boolean(),
  })
  .parse(JSON.parse(process.argv[2] ?? "null"));

const database = openDatabase(input.databaseUrl, input.connections);
await migrate(database);
const silent = { warn: () => undefined };
const watermark = { read: async () => null, write: async () => undefined };
const adopt = (): Promise<void> => adoptDatabase({ database, watermark, log: silent });
await adopt();
const project = {
  name: "rate",
  remoteUrl: "/srv/rate",
  buildCommand: "true",
  artifactPath: "out",
};
await insertProject(database, projectInput.parse(project));
await fillQueue(database, "rate", input.builds);

const shared = new QueueCalls(database);
const failure = { code: "build_failed", message: "measured", blame: "user" } as const;
const claimMs: number[] = [];

async function claimAndEnd(builder: string): Promise<void> {
  const calls = input.together ? shared : new QueueCalls(database);
  const deps = { database, wakeups: new Wakeups(async () => undefined), calls, adopt };
  for (;;) {
    const startMs = performance.now();
    const claim = await claimBuild(deps, { builder, holder: builder, labels: {} });
    if (claim === null) return;
    claimMs.push(performance.now() - startMs);
    const lease = { build: claim.build, fence: claim.fence, holder: builder };
    await calls.end(lease, { event: "failedByUser", outcome: "failed", failure });
  }
}

const startMs = performance.now();
await Promise.all(
  Array.from({ length: input.claimers }, (_, index) => claimAndEnd(`builder-${index}`)),
);
const seconds = (performance.now() - startMs) / 1000;
const sorted = claimMs.toSorted((a, b) => a - b);
const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
await database.end();
process.stdout.write(
  `${JSON.stringify({ builds: claimMs.length, seconds, perSecond: claimMs.length / seconds, claimMsP50: at(0.5), claimMsP99: at(0.99) })}\n`,
);
