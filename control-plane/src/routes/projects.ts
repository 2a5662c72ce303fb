// Routes of what is set up once: projects, regions, services, tokens; and the hosts there are.
import { tokens } from "@shoal/api/member-routes";
import { projects, regions } from "@shoal/api/project-routes";
import { hosts, services } from "@shoal/api/routes";
import { ShoalError } from "@shoal/core/error";
import type { AppDeps } from "../app.ts";
import { type Queries, inTransaction, isForeignKeyViolation } from "../db/connection.ts";
import { findEnvironment } from "../db/environments.ts";
import { deletePerson, insertPerson } from "../db/people.ts";
import { findProject, insertProject, listProjects, updateProject } from "../db/projects.ts";
import { findRegion, insertRegion, listRegions, updateRegion } from "../db/regions.ts";
import { findService, insertService, listServices } from "../db/services.ts";
import { insertJoinToken } from "../db/tokens.ts";
import { notify } from "../db/wakeups.ts";
import { type App, serveRoute } from "../http/serve-route.ts";
import { listHosts } from "../operations/list-hosts.ts";
import { notFound } from "../operations/not-found.ts";
import { createToken, hashToken } from "../operations/secrets.ts";

export function serveProjectRoutes(app: App, deps: AppDeps): void {
  const { database } = deps;
  serveRoute(app, deps, projects.create, async ({ body }) =>
    present(await insertProject(database, body), taken("project", body.name)),
  );
  serveRoute(app, deps, projects.list, ({ query }) => listProjects(database, query));
  serveRoute(app, deps, projects.get, async ({ params }) =>
    present(await findProject(database, params.project), notFound("project", params.project)),
  );
  serveRoute(app, deps, projects.update, async ({ params, body }) => {
    const updated = await updateProject(database, params.project, body);
    // A cap or labels may let builds through that waited.
    deps.wakeups.announce("queue");
    return present(updated, notFound("project", params.project));
  });
  serveRoute(app, deps, hosts.list, async ({ query }) => {
    const page = await listHosts(deps, query);
    return page;
  });
  serveRegions(app, deps);
  serveServices(app, deps);
  serveTokens(app, deps);
}

function serveRegions(app: App, deps: AppDeps): void {
  const { database } = deps;
  serveRoute(app, deps, regions.create, async ({ body }) => {
    if (!(await insertRegion(database, body))) {
      throw new ShoalError(
        "already_exists",
        `There is a region ${body.name}, or another home region.`,
        {
          blame: "remote",
          hint: "Change a region with PATCH; that also moves the home region.",
        },
      );
    }
    await notify(database, "rollouts");
    return present(await findRegion(database, body.name), notFound("region", body.name));
  });
  serveRoute(app, deps, regions.list, ({ query }) => listRegions(database, query));
  serveRoute(app, deps, regions.update, ({ params, body }) =>
    inTransaction(database, async (queries) => {
      await updateRegion(queries, params.region, body);
      await notify(queries, "rollouts");
      await notify(queries, "plan");
      return present(await findRegion(queries, params.region), notFound("region", params.region));
    }),
  );
}

function serveServices(app: App, deps: AppDeps): void {
  const { database } = deps;
  serveRoute(app, deps, services.create, async ({ body }) => {
    if ((await findProject(database, body.project)) === null)
      throw notFound("project", body.project);
    await requireEnvironment(database, body.environment);
    const name = { environment: body.environment, service: body.name };
    if (!(await insertService(database, body)))
      throw taken("service", `${body.environment}/${body.name}`);
    return present(await findService(database, name), notFound("service", body.name));
  });
  serveRoute(app, deps, services.list, ({ query }) => listServices(database, query));
  serveRoute(app, deps, services.get, async ({ params }) =>
    present(
      await findService(database, params),
      notFound("service", `${params.environment}/${params.service}`),
    ),
  );
}

/** Throws `not_found`. */
async function requireEnvironment(queries: Queries, name: string): Promise<void> {
  if ((await findEnvironment(queries, name)) === null) throw notFound("environment", name);
}

function serveTokens(app: App, deps: AppDeps): void {
  const { database } = deps;
  serveRoute(app, deps, tokens.create, async ({ body }) => {
    const token = createToken("person");
    await insertPerson(database, hashToken(token), body);
    return { token };
  });
  serveRoute(app, deps, tokens.revokePerson, async ({ body }) => {
    const revoked = await deletePerson(database, body.name);
    deps.tokens.forget();
    return { revoked };
  });
  serveRoute(app, deps, tokens.createJoin, async ({ body }) => {
    const token = createToken("join");
    await needRegion(body.region, insertJoinToken(database, hashToken(token), body));
    return { token };
  });
}

/** Says that a region is missing when the database refused a row for that reason. */
async function needRegion<Result>(region: string | null, work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    throw isForeignKeyViolation(error) ? notFound("region", region ?? "") : error;
  }
}

function present<Value>(value: Value | null, otherwise: ShoalError): Value {
  if (value === null) throw otherwise;
  return value;
}

function taken(kind: string, name: string): ShoalError {
  return new ShoalError("already_exists", `There is a ${kind} ${name} already.`, {
    blame: "remote",
  });
}
