// Whether what the database's address leads to is a Postgres at all. The driver tries a connection
// that ends before it is ready again and again: a web server on that port would be asked for ever.
import { ShoalError } from "@shoal/core/error";
import { databaseFirstAnswerMsMax } from "@shoal/core/limits";
import type { Queries } from "./connection.ts";

/** Throws `database_unusable` when a first, small question isn't answered in time. */
export async function requireFirstAnswer(
  database: Queries,
  timeoutMs: number = databaseFirstAnswerMsMax,
): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const message = `The database can't be used: nothing there answered as Postgres does within ${timeoutMs / 1000} s.`;
    const hint = "Check the database's address and whether it is running.";
    reject(new ShoalError("database_unusable", message, { blame: "environment", hint }));
  }, timeoutMs);
  try {
    await Promise.race([database`select 1`, late]);
  } finally {
    clearTimeout(timer);
  }
}
