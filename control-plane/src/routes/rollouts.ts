// Routes of rollouts: deploy, roll back, allow, look.
import { rollouts, services } from "@shoal/api/routes";
import type { AppDeps } from "../app.ts";
import { findRollout, listRollouts } from "../db/rollouts.ts";
import { findRelease, findService, liftQuarantine, listQuarantines } from "../db/services.ts";
import { type App, serveRoute } from "../http/serve-route.ts";
import { deploy, rollback } from "../operations/deploy.ts";
import { notFound } from "../operations/not-found.ts";

export function serveRolloutRoutes(app: App, deps: AppDeps): void {
  const { database } = deps;
  serveRoute(app, deps, services.deploy, ({ params, body }) => deploy(deps, params, body.build));
  serveRoute(app, deps, services.rollback, ({ params, body }) =>
    rollback(deps, params, body.release),
  );
  serveRoute(app, deps, services.allow, async ({ params, body }) => {
    if ((await findRelease(database, params, body.release)) === null) {
      throw notFound("release", body.release);
    }
    await liftQuarantine(database, params, body.release);
    const service = await findService(database, params);
    if (service === null) throw notFound("service", params.service);
    return service;
  });
  serveRoute(app, deps, rollouts.list, ({ query }) => listRollouts(database, query));
  serveRoute(app, deps, rollouts.get, async ({ params }) => {
    const rollout = await findRollout(database, params.id);
    if (rollout === null) throw notFound("rollout", params.id);
    return rollout;
  });
  serveRoute(app, deps, rollouts.quarantines, ({ query }) => listQuarantines(database, query));
}
