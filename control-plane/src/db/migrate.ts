// Brings a database to the version that this code was written for: numbered SQL files, in order, by
// one process at a time, all of them in one transaction. A process that is killed leaves nothing half done.
import { fileURLToPath } from "node:url";
import { ShoalError } from "@shoal/core/error";
import Postgrator from "postgrator";
import { type Database, inTransaction } from "./connection.ts";
import { requireFirstAnswer } from "./first-answer.ts";

/** Any number that nobody else uses for `pg_advisory_xact_lock` in this database. */
const migrationLock = 0x540a1;

/**
 * Migrates to the newest version and answers it.
 * @throws ShoalError `database_newer` when the database is of a newer Shoal, `database_unusable` when
 *   it doesn't answer as Postgres does.
 */
export async function migrate(database: Database): Promise<number> {
  const folder = fileURLToPath(new URL("migrations", import.meta.url));
  await requireFirstAnswer(database);
  return inTransaction(database, async (queries) => {
    await queries`select pg_advisory_xact_lock(${migrationLock})`;
    const postgrator = new Postgrator({
      driver: "pg",
      migrationPattern: `${folder}/*.sql`,
      schemaTable: "schema_version",
      currentSchema: "public",
      execQuery: async (query) => ({ rows: await queries.unsafe(query).simple() }),
      execSqlScript: async (script) => {
        await queries.unsafe(script).simple();
      },
    });
    const migrations = await postgrator.getMigrations();
    const newest = Math.max(0, ...migrations.map((migration) => migration.version));
    const present = await postgrator.getDatabaseVersion();
    if (present > newest) {
      throw new ShoalError(
        "database_newer",
        `The database has version ${present}; this control plane knows versions up to ${newest}.`,
        {
          blame: "local",
          hint: "Start the newer control plane, or restore a backup made before it.",
        },
      );
    }
    await postgrator.migrate();
    return newest;
  });
}
