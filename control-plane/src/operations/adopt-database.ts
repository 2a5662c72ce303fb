// Looks at the database whenever it may be another one than before, and keeps the watermark by which
// a restart is told from a restored backup (docs/BUILDS.md, "What holds").
import { type Watermark, judgeServer } from "@shoal/core/build/incarnation";
import { ShoalError } from "@shoal/core/error";
import { type Database, inTransaction } from "../db/connection.ts";
import { lockFleet, lookAtServer, renewIncarnation, writeServer } from "../db/incarnation.ts";
import { voidLeases } from "../db/overdue.ts";

/** Where the watermark outlives the process. */
export interface WatermarkFile {
  read(): Promise<Watermark | null>;
  write(watermark: Watermark): Promise<void>;
}

export interface AdoptDeps {
  readonly database: Database;
  readonly watermark: WatermarkFile;
  readonly log: { warn(facts: object, message: string): void };
}

/** Adopts the server that answers now; afterwards statements about leases count again. */
export async function adoptDatabase(deps: AdoptDeps): Promise<void> {
  const { database, log } = deps;
  const before = await lookAtServer(database);
  if (before.known.server !== before.server) {
    const watermark = await deps.watermark.read();
    await inTransaction(database, async (queries) => {
      await lockFleet(queries);
      const seen = await lookAtServer(queries);
      const judgment = judgeServer(seen.known, seen, watermark);
      if (judgment === "same") return;
      if (judgment === "restored") {
        const { incarnation, epoch } = await renewIncarnation(queries);
        const voided = await voidLeases(queries);
        const facts = { incarnation, epoch, voided, known: seen.known, seen: seen.server };
        log.warn(facts, "the database was restored or failed over: no lease is valid any more");
      }
      await writeServer(queries, seen);
    });
  }
  const { server, logBytes } = await lookAtServer(database);
  await deps.watermark.write({ server, logBytes });
}

/** Callers that come while a look is under way share its end. */
export function oneAtATime(look: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | null = null;
  return () => {
    running ??= look().finally(() => {
      running = null;
    });
    return running;
  };
}

/** What a call gets that came before the database was looked at. */
export function databaseUnadopted(): ShoalError {
  return new ShoalError("database_unavailable", "The database was restarted and is looked at.", {
    blame: "environment",
    retryable: true,
  });
}
