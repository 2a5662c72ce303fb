// The control plane's HTTP application: the route table with a handler for each row, and the answers
// that every call may get. It listens nowhere: main.ts does, and tests call it directly.
import { openApiDocument } from "@shoal/api/openapi";
import { problemMediaType, problemOf } from "@shoal/api/problem";
import { ShoalError } from "@shoal/core/error";
import type { RolloutPolicy } from "@shoal/core/rollout/rollout-policy";
import type { BlobStore } from "@shoal/store/blob-store";
import type { TrustKeeper } from "@shoal/trust/trust-keeper";
import { Hono } from "hono";
import { requestId } from "hono/request-id";
import type { Authority } from "./authority.ts";
import { type Database, explainDatabaseError } from "./db/connection.ts";
import { ping } from "./db/fleet.ts";
import type { Wakeups } from "./db/wakeups.ts";
import type { BuildSources } from "./operations/build-sources.ts";
import type { LogStreams } from "./operations/follow-log.ts";
import type { KnownMembers } from "./operations/known-members.ts";
import type { KnownTokens } from "./operations/known-tokens.ts";
import type { IngestGrants } from "./operations/ingest-grants.ts";
import type { HomeSeeder } from "./operations/home-seeder.ts";
import type { QueueCalls } from "./operations/queue-calls.ts";
import type { QueueDepth } from "./operations/queue-depth.ts";
import type { App, Env } from "./http/serve-route.ts";
import { serveBuilderRoutes } from "./routes/builder.ts";
import { serveBuildRoutes } from "./routes/builds.ts";
import { serveCommitStatusRoutes } from "./routes/commit-statuses.ts";
import { serveEnvironmentRoutes } from "./routes/environments.ts";
import { serveMemberRoutes } from "./routes/members.ts";
import { serveProjectRoutes } from "./routes/projects.ts";
import { serveRolloutRoutes } from "./routes/rollouts.ts";
import { serveSeederRoutes } from "./routes/seeder.ts";
import { serveTrustRoutes } from "./routes/trust.ts";
import { serveWebhookRoutes } from "./routes/webhooks.ts";

export interface AppDeps {
  readonly database: Database;
  readonly wakeups: Wakeups;
  readonly authority: Authority;
  readonly trust: TrustKeeper;
  readonly policy: RolloutPolicy;
  readonly tokens: KnownTokens;
  readonly members: KnownMembers;
  /** Where logs are kept; null where they stay in Postgres. */
  readonly logs: BlobStore | null;
  readonly grants: IngestGrants;
  readonly home: HomeSeeder;
  readonly calls: QueueCalls;
  readonly sources: BuildSources;
  readonly streams: LogStreams;
  readonly depth: QueueDepth;
  /** Looks at the database, so that statements about leases count (docs/BUILDS.md). */
  readonly adopt: () => Promise<void>;
  /** SHA-256 of the admin token. */
  readonly adminTokenHash: Uint8Array;
  readonly log: {
    warn(facts: object, message: string): void;
    error(facts: object, message: string): void;
  };
}

export function createApp(deps: AppDeps): App {
  const app: App = new Hono<Env>();
  app.use(requestId({ limitLength: 64 }));
  app.get("/livez", (context) => context.text("ok"));
  app.get("/readyz", async (context) => {
    await ping(deps.database);
    return context.text("ok");
  });
  const document = openApiDocument();
  app.get("/openapi.json", (context) => context.json(document));
  // The protocol gives these with the prefix, probes use them without.
  for (const path of ["/livez", "/readyz", "/openapi.json"]) {
    app.get(`/v1${path}`, (context) => app.request(path, { headers: context.req.raw.headers }));
  }
  serveProjectRoutes(app, deps);
  serveBuildRoutes(app, deps);
  serveRolloutRoutes(app, deps);
  serveEnvironmentRoutes(app, deps);
  serveMemberRoutes(app, deps);
  serveBuilderRoutes(app, deps);
  serveSeederRoutes(app, deps);
  serveTrustRoutes(app, deps);
  serveWebhookRoutes(app, deps);
  serveCommitStatusRoutes(app, deps);
  app.notFound((context) => {
    const error = new ShoalError("not_found", "There is no such call.", {
      blame: "remote",
      hint: "GET /openapi.json lists all of them.",
    });
    return answerProblem(error, context.get("requestId"));
  });
  app.onError((thrown, context) => {
    const error = explainDatabaseError(thrown);
    const id = context.get("requestId");
    const answer = answerProblem(error, id);
    const facts = {
      requestId: id,
      method: context.req.method,
      path: context.req.path,
      error: thrown,
    };
    if (answer.status >= 500) deps.log.error(facts, "a call failed");
    return answer;
  });
  return app;
}

function answerProblem(error: unknown, id: string): Response {
  const problem = problemOf(error, id);
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: { "content-type": problemMediaType, "x-request-id": id },
  });
}
