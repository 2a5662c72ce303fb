// Routes of environments. What a change means for goals is carried out at once.
import { environments, services } from "@shoal/api/routes";
import { ShoalError } from "@shoal/core/error";
import type { AppDeps } from "../app.ts";
import { inTransaction, isForeignKeyViolation } from "../db/connection.ts";
import {
  findEnvironment,
  insertEnvironment,
  listEnvironments,
  updateEnvironment,
} from "../db/environments.ts";
import { findService, lockService, servicesOf, updateService } from "../db/services.ts";
import { type App, serveRoute } from "../http/serve-route.ts";
import { driveLocked, driveService } from "../operations/drive-service.ts";
import { notFound } from "../operations/not-found.ts";

export function serveEnvironmentRoutes(app: App, deps: AppDeps): void {
  const { database } = deps;
  const read = async (name: string) => {
    const found = await findEnvironment(database, name);
    if (found === null) throw notFound("environment", name);
    return found;
  };
  serveRoute(app, deps, environments.create, async ({ body }) => {
    requireRule(body.name, body);
    if (!(await needEnvironment(body.promotesFrom, insertEnvironment(database, body)))) {
      throw new ShoalError("already_exists", `There is an environment ${body.name} already.`, {
        blame: "remote",
      });
    }
    return read(body.name);
  });
  serveRoute(app, deps, environments.list, ({ query }) => listEnvironments(database, query));
  serveRoute(app, deps, environments.get, ({ params }) => read(params.environment));
  serveRoute(app, deps, environments.update, async ({ params, body }) => {
    const { environment } = params;
    const before = await read(environment);
    const { promotesFrom = before.promotesFrom, promotesAfterMs = before.promotesAfterMs } = body;
    requireRule(environment, { promotesFrom, promotesAfterMs });
    await needEnvironment(
      body.promotesFrom ?? null,
      inTransaction(database, (queries) => updateEnvironment(queries, environment, body)),
    );
    for (const name of await servicesOf(database, environment)) await driveService(deps, name);
    return read(environment);
  });
  serveRoute(app, deps, services.update, async ({ params, body }) => {
    await inTransaction(database, async (queries) => {
      if ((await lockService(queries, params)) === null)
        throw notFound("service", `${params.environment}/${params.service}`);
      await updateService(queries, params, body);
      const changed = await lockService(queries, params);
      if (changed !== null) await driveLocked(queries, deps, params, changed);
    });
    const service = await findService(database, params);
    if (service === null) throw notFound("service", params.service);
    return service;
  });
}

/** A rule that promotes by itself needs a place to promote from, and that isn't the environment. */
function requireRule(
  name: string,
  rule: { readonly promotesFrom: string | null; readonly promotesAfterMs: number | null },
): void {
  if (rule.promotesAfterMs !== null && rule.promotesFrom === null) {
    throw new ShoalError("invalid_input", "promotesAfterMs needs promotesFrom.", {
      blame: "remote",
    });
  }
  if (rule.promotesFrom === name) {
    throw new ShoalError("invalid_input", "An environment can't promote from itself.", {
      blame: "remote",
    });
  }
}

async function needEnvironment<Result>(
  name: string | null,
  work: Promise<Result>,
): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    throw isForeignKeyViolation(error) ? notFound("environment", name ?? "") : error;
  }
}
