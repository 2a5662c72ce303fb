// Routes of commit statuses: where a project's git host wants to hear how builds stand.
import { commitStatuses } from "@shoal/api/build-routes";
import type { AppDeps } from "../app.ts";
import { readStatusTarget, setStatusTarget } from "../db/commit-statuses.ts";
import { type App, serveRoute } from "../http/serve-route.ts";
import { notFound } from "../operations/not-found.ts";

export function serveCommitStatusRoutes(app: App, deps: AppDeps): void {
  const { database } = deps;
  serveRoute(app, deps, commitStatuses.set, async ({ params, body }) => {
    if (!(await setStatusTarget(database, params.project, body))) {
      throw notFound("project", params.project);
    }
    return null;
  });
  serveRoute(app, deps, commitStatuses.get, async ({ params }) => {
    const target = await readStatusTarget(database, params.project);
    if (target === null) throw notFound("project", params.project);
    return target;
  });
}
