// The same work by other queues on the same Postgres: jobs are taken one at a time and ended at once,
// by as many claimers over as many connections as ours, everything else as it comes.
import { makeWorkerUtils, run, Logger } from "graphile-worker";
import { PgBoss } from "pg-boss";

export interface QueueLoad {
  readonly databaseUrl: string;
  readonly jobs: number;
  readonly claimers: number;
  readonly connections: number;
}

const quiet = new Logger(() => () => undefined);

/** Jobs a second of graphile-worker. */
export async function measureGraphile(load: QueueLoad): Promise<number> {
  const { databaseUrl, jobs, claimers, connections } = load;
  const utils = await makeWorkerUtils({ connectionString: databaseUrl, logger: quiet });
  await utils.migrate();
  await utils.withPgClient(async (client) => {
    await client.query(
      "select graphile_worker.add_job('nothing', json_build_object('n', n)) from generate_series(1, $1) n",
      [jobs],
    );
    await client.query("analyze");
  });
  const done = Promise.withResolvers<void>();
  let left = jobs;
  const startMs = performance.now();
  const runner = await run({
    connectionString: databaseUrl,
    concurrency: claimers,
    maxPoolSize: connections,
    noHandleSignals: true,
    logger: quiet,
    taskList: {
      nothing: () => {
        left -= 1;
        if (left === 0) done.resolve();
      },
    },
  });
  await done.promise;
  const perSecond = (jobs * 1000) / (performance.now() - startMs);
  await runner.stop();
  await utils.release();
  return perSecond;
}

/** Jobs a second of pg-boss. */
export async function measurePgBoss(load: QueueLoad): Promise<number> {
  const { databaseUrl, jobs, claimers, connections } = load;
  const boss = new PgBoss({ connectionString: databaseUrl, max: connections });
  boss.on("error", () => undefined);
  await boss.start();
  await boss.createQueue("nothing");
  for (let sent = 0; sent < jobs; sent += 1000) {
    const batch = Array.from({ length: Math.min(1000, jobs - sent) }, (_, n) => ({
      data: { n: sent + n },
    }));
    await boss.insert("nothing", batch);
  }
  const startMs = performance.now();
  let ended = 0;
  const work = async (): Promise<void> => {
    for (;;) {
      const [job] = await boss.fetch("nothing");
      if (job === undefined) return;
      await boss.complete("nothing", job.id);
      ended += 1;
    }
  };
  await Promise.all(Array.from({ length: claimers }, work));
  const perSecond = (ended * 1000) / (performance.now() - startMs);
  await boss.stop({ graceful: false });
  return perSecond;
}
