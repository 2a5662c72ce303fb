// Routes of rollouts: deploy, roll back, allow, look.
import { rollouts, services } from "@shoal/api/routes";
import type { AppDeps } from "../app.ts";
import { findRollout, listRollouts } from "../db/rollouts.ts";
import { findRelease, findService, liftQuarantine, listQuarantines } from "../db/services.ts";
import { nameOf } from "../http/authorize.ts";
import { type App, serveRoute } from "../http/serve-route.ts";
import { deploy, rollback } from "../operations/deploy.ts";
import { listTroubled } from "../operations/list-troubled.ts";
import { notFound } from "../operations/not-found.ts";
import { abortRollout, pauseRollout, resumeRollout } from "../operations/operate-rollout.ts";

export function serveRolloutRoutes(app: App, deps: AppDeps): void {
  const { database } = deps;
  serveRoute(app, deps, services.deploy, ({ params, body, principal }) =>
    deploy(deps, params, body.build, nameOf(principal)),
  );
  serveRoute(app, deps, services.rollback, ({ params, body, principal }) =>
    rollback(deps, params, body, nameOf(principal)),
  );
  serveRoute(app, deps, services.pause, ({ params, body, principal }) =>
    pauseRollout(deps, params, nameOf(principal), body.reason),
  );
  serveRoute(app, deps, services.resume, ({ params }) => resumeRollout(deps, params));
  serveRoute(app, deps, services.abort, ({ params, body, principal }) =>
    abortRollout(deps, params, nameOf(principal), body.reason),
  );
  serveRoute(app, deps, services.troubled, ({ params }) => listTroubled(database, params));
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
