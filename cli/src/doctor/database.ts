// Where the control plane's Postgres would come from: DATABASE_URL, or the binaries from npm. Looks
// whether something speaks Postgres there; logging in is the control plane's own first act.
import { ShoalError } from "@shoal/core/error";
import { fine, wrong, type Finding } from "./finding.ts";
import type { Machine } from "./machine.ts";

const check = "database";
/** SSLRequest of Postgres's protocol: length 8, then the code; answered with S or N. */
const sslRequest = Uint8Array.of(0, 0, 0, 8, 4, 210, 22, 47);
const yes = "S".codePointAt(0);
const no = "N".codePointAt(0);
const postgresPort = 5432;

export async function checkDatabase(
  machine: Pick<Machine, "greet" | "embeddedPostgres">,
  databaseUrl: string | undefined,
): Promise<Finding> {
  if (databaseUrl === undefined || databaseUrl === "") return checkEmbedded(machine);
  const url = parse(databaseUrl);
  if (url === null)
    return wrong(
      check,
      "DATABASE_URL isn't a postgres:// URL",
      "export DATABASE_URL=postgres://user@host:5432/database",
    );
  // Never the whole URL: it may have a password.
  const where = `${url.hostname || "localhost"}:${url.port || postgresPort}`;
  const fix = "start it or correct DATABASE_URL; unset it to use the Postgres that npm brings";
  try {
    const port = url.port === "" ? postgresPort : Number(url.port);
    const answer = await machine.greet(url.hostname || "localhost", port, sslRequest);
    if (answer === yes || answer === no) return fine(check, `Postgres answers at ${where}`);
    return wrong(check, `what answers at ${where} isn't Postgres`, fix);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return wrong(check, `no Postgres at ${where}: ${why}`, fix);
  }
}

async function checkEmbedded(machine: Pick<Machine, "embeddedPostgres">): Promise<Finding> {
  try {
    return fine(check, `DATABASE_URL is unset: ${await machine.embeddedPostgres()} is used`);
  } catch (error) {
    const known = error instanceof ShoalError ? error : null;
    return wrong(
      check,
      `DATABASE_URL is unset, and there is no Postgres from npm: ${known?.message ?? String(error)}`,
      known?.hint ?? "npm ci",
    );
  }
}

function parse(text: string): URL | null {
  const url = URL.parse(text);
  return url !== null && /^postgres(ql)?:$/.test(url.protocol) ? url : null;
}
