// Routes of builds, for people.
import { builds } from "@shoal/api/build-routes";
import type { AppDeps } from "../app.ts";
import { listTests } from "../db/build-tests.ts";
import { findBuild, findBuildState, listBuilds } from "../db/builds.ts";
import { listAttempts, readQueue } from "../db/queue-view.ts";
import { type App, RawResponse, serveRoute } from "../http/serve-route.ts";
import { cancelBuild, reschedule, retryBuild, startBuild } from "../operations/build-requests.ts";
import { followLog } from "../operations/follow-log.ts";
import { readLog } from "../operations/read-log.ts";
import { searchLog } from "../operations/search-log.ts";
import { explainWait } from "../operations/explain-wait.ts";
import { notFound } from "../operations/not-found.ts";
import { checkLog } from "../operations/seal-logs.ts";

export function serveBuildRoutes(app: App, deps: AppDeps): void {
  const { database } = deps;
  serveRoute(app, deps, builds.start, async ({ body }) => {
    const { build, created } = await startBuild(deps, body);
    // 200 rather than 201: the commit's build was there already.
    return created ? build : new RawResponse(Response.json(build, { status: 200 }));
  });
  serveRoute(app, deps, builds.list, ({ query }) => listBuilds(database, query));
  serveRoute(app, deps, builds.get, async ({ params }) => {
    const build = await findBuild(database, params.id);
    if (build === null) throw notFound("build", params.id);
    return build;
  });
  serveRoute(app, deps, builds.cancel, ({ params }) => cancelBuild(deps, params.id));
  serveRoute(app, deps, builds.retry, async ({ params }) => {
    const { build, created } = await retryBuild(deps, params.id);
    return created ? build : new RawResponse(Response.json(build, { status: 200 }));
  });
  serveRoute(app, deps, builds.reschedule, ({ params, body }) => reschedule(deps, params.id, body));
  serveRoute(app, deps, builds.attempts, async ({ params }) => {
    if ((await findBuildState(database, params.id)) === null) throw notFound("build", params.id);
    return { items: await listAttempts(database, params.id) };
  });
  serveRoute(app, deps, builds.tests, async ({ params }) => {
    if ((await findBuildState(database, params.id)) === null) throw notFound("build", params.id);
    return { items: await listTests(database, params.id) };
  });
  serveRoute(app, deps, builds.why, ({ params }) =>
    explainWait(database, params.id, deps.authority.nowMs()),
  );
  serveRoute(app, deps, builds.queue, () => readQueue(database));
  serveRoute(app, deps, builds.followLog, async ({ params, query, header, signal }) => {
    const last = header("last-event-id");
    const offset = last !== undefined && /^[0-9]{1,15}$/.test(last) ? Number(last) : query.offset;
    const body = await followLog(deps, params.id, offset, signal);
    const headers = { "content-type": "text/event-stream", "cache-control": "no-store" };
    return new RawResponse(new Response(body, { headers }));
  });
  serveRoute(app, deps, builds.searchLog, async ({ params, query, signal }) => {
    const { items, nextOffset } = await searchLog(deps, params.id, query, signal);
    return { items: [...items], nextOffset };
  });
  serveRoute(app, deps, builds.checkLog, async ({ params }) => {
    if ((await findBuildState(database, params.id)) === null) throw notFound("build", params.id);
    return checkLog(deps, params.id);
  });
  serveRoute(app, deps, builds.log, async ({ params, query, signal }) => {
    const { bytes, nextOffset, ended } = await readLog(deps, params.id, query, signal);
    return new RawResponse(
      new Response(new Uint8Array(bytes), {
        headers: {
          "content-type": "text/plain; charset=utf-8",
          // What a build prints is never to be taken for a page.
          "x-content-type-options": "nosniff",
          "shoal-log-next-offset": String(nextOffset),
          "shoal-log-ended": String(ended),
        },
      }),
    );
  });
}
