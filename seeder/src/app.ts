// The seeder's HTTP interface (docs/PROTOCOL.md 5): routes parse, call and answer; problems are
// answered here in one way.
import { problemMediaType, problemOf } from "@shoal/api/problem";
import { ShoalError } from "@shoal/core/error";
import type { Log } from "@shoal/daemon/log";
import type { TrustKeeper } from "@shoal/trust/trust-keeper";
import { Hono } from "hono";
import { randomUUID } from "node:crypto";
import type { Changes } from "./changes.ts";
import type { Goals } from "./goals.ts";
import type { HostAnswers } from "./hosts/host-answers.ts";
import type { Joins } from "./hosts/joins.ts";
import type { HostTable } from "./hosts/host-table.ts";
import type { LeaseChecks } from "./ingest/lease-checks.ts";
import type { Uploads } from "./ingest/uploads.ts";
import type { MemberTable } from "./member-table.ts";
import type { RegionStore } from "./region/region-store.ts";
import { artifactRoutes } from "./routes/artifacts.ts";
import type { Callers, SeederEnv } from "./routes/callers.ts";
import { hostRoutes } from "./routes/hosts.ts";
import { ingestRoutes } from "./routes/ingest.ts";

export interface SeederDeps {
  readonly store: RegionStore;
  readonly uploads: Uploads;
  readonly leases: LeaseChecks;
  readonly goals: Goals;
  readonly hosts: HostTable;
  readonly members: MemberTable;
  readonly callers: Callers;
  readonly changes: Changes;
  readonly answers: HostAnswers;
  readonly trust: TrustKeeper;
  /** Seeders of the region as members of the swarm, this one included. */
  readonly swarmSeeders: () => readonly {
    readonly peerId: string;
    readonly swarmAddresses: readonly string[];
  }[];
  readonly joins: Joins;
  readonly now: () => number;
  readonly log: Log;
}

export function createApp(deps: SeederDeps): Hono<SeederEnv> {
  const app = new Hono<SeederEnv>();
  app.use(async (context, next) => {
    context.set("requestId", randomUUID());
    await next();
  });
  app.get("/livez", (context) => context.json({ ok: true }));
  app.get("/readyz", (context) => context.json({ ok: true, region: deps.callers.region() }));
  app.route("/v1/ingest", ingestRoutes(deps));
  app.route("/v1/artifacts", artifactRoutes(deps));
  app.route("/v1", hostRoutes(deps));
  app.notFound((context) =>
    answerProblem(
      new ShoalError("not_found", "There is no such call.", { blame: "remote" }),
      context.get("requestId"),
    ),
  );
  app.onError((error, context) => {
    const requestId = context.get("requestId");
    // Who went away in the middle of a request comes again, and reads no answer.
    if (isHangUp(error)) deps.log.debug({ requestId }, "a caller hung up");
    else if (!(error instanceof ShoalError) || error.blame === "local")
      deps.log.error({ error, requestId }, "a request failed");
    return answerProblem(error, requestId);
  });
  return app;
}

function isHangUp(error: Error): boolean {
  return (
    "code" in error && (error.code === "ECONNRESET" || error.code === "ERR_STREAM_PREMATURE_CLOSE")
  );
}

function answerProblem(error: unknown, requestId: string): Response {
  const problem = problemOf(error, requestId);
  return Response.json(problem, {
    status: problem.status,
    headers: { "content-type": problemMediaType },
  });
}
