// The pool of connections to Postgres and what every query of ours runs under. SQL is written in
// this folder only; others hand `Queries` on without looking inside.
import { ShoalError } from "@shoal/core/error";
import { databaseStatementMsMax } from "@shoal/core/limits";
import { secondMs } from "@shoal/core/units";
import postgres from "postgres";
import { watchedSockets } from "./watched-socket.ts";

type OwnTypes = { readonly bigint: number };

/** The pool. */
export type Database = postgres.Sql<OwnTypes>;
/** The pool or a transaction of it: what a statement needs. */
export type Queries = postgres.ISql<OwnTypes>;
/** A part of a statement. */
export type Fragment = postgres.PendingQuery<postgres.Row[]>;

const int8Oid = 20;
const readOnlyTransaction = "25006";
const foreignKeyViolation = "23503";
const uniqueViolation = "23505";

/**
 * Opens a pool; nothing is connected before the first query. `statementMsMax` is how long one
 * statement may take before the server ends it, and the connection counts as dead a little later.
 */
export function openDatabase(
  url: string,
  connectionsMax = 16,
  statementMsMax: number = databaseStatementMsMax,
): Database {
  return postgres<{ readonly bigint: postgres.PostgresType<number> }>(url, {
    max: connectionsMax,
    connect_timeout: 10,
    idle_timeout: 60,
    // After a failover a pool may hold connections to a server that only reads: they end by age, and
    // new ones go to the one that writes.
    max_lifetime: 600,
    target_session_attrs: "read-write",
    ...watched(statementMsMax + 2 * secondMs),
    connection: {
      application_name: "shoal-control-plane",
      // A transaction that was forgotten, or a statement that runs wild, must not hold others up.
      idle_in_transaction_session_timeout: 30 * secondMs,
      statement_timeout: statementMsMax,
      lock_timeout: Math.min(statementMsMax, 20 * secondMs),
      timezone: "UTC",
    },
    types: {
      // Byte counts, epochs and generations stay below 2^53; fences are read as text.
      bigint: {
        to: int8Oid,
        from: [int8Oid],
        serialize: (value: number) => value.toString(),
        parse: (text: string) => safeInteger(text),
      },
    },
    onnotice: () => undefined,
  });
}

/** The driver takes sockets of one's own; its types don't say so. */
function watched(silentMsMax: number): object {
  return { socket: watchedSockets(silentMsMax) };
}

/** Runs a transaction; what it throws undoes it. */
export function inTransaction<Result>(
  database: Database,
  work: (queries: Queries) => Promise<Result>,
): Promise<Result> {
  return database.begin("isolation level read committed", work) as Promise<Result>;
}

export function isForeignKeyViolation(error: unknown): boolean {
  return error instanceof postgres.PostgresError && error.code === foreignKeyViolation;
}

/** Whether a row was there already under this constraint or unique index. */
export function isUniqueViolation(error: unknown, constraint: string): boolean {
  return (
    error instanceof postgres.PostgresError &&
    error.code === uniqueViolation &&
    error.constraint_name === constraint
  );
}

/**
 * Whether the server answered that it did nothing of the statement, because of a row in it: a constraint,
 * a value, a deadlock, a lock that couldn't be had. After a lost connection nobody knows.
 */
export function wasRefused(error: unknown): boolean {
  return error instanceof postgres.PostgresError && /^(22|23|40|55)/.test(error.code);
}

/** Errors of the connection or the server, as an error that says it may be tried again; others as they are. */
export function explainDatabaseError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof ShoalError) return error;
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  // Classes 08 connection, 53 resources, 57P operator, 40 rollback; the rest are the driver's own.
  const passing =
    /^(08|53|57P|40)/.test(code) ||
    code === readOnlyTransaction ||
    /^(CONNECT|CONNECTION_|ECONN|EPIPE)/.test(code);
  if (!passing) return error;
  return new ShoalError("database_unavailable", "The database can't be used at the moment.", {
    blame: "environment",
    retryable: true,
    cause: error,
  });
}

function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) {
    throw new ShoalError("assertion_failed", `${text} doesn't fit a number`, { blame: "local" });
  }
  return value;
}
