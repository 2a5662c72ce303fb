// Routes of seeders. Name, region and key come from the passport, never from what is sent.
import { seederRoutes } from "@shoal/api/routes";
import { assert } from "@shoal/core/error";
import type { AppDeps } from "../app.ts";
import type { Principal } from "../http/authenticate.ts";
import { type App, RawResponse, serveRoute } from "../http/serve-route.ts";
import { checkLease } from "../operations/check-lease.ts";
import { waitForPlan } from "../operations/plan.ts";
import {
  type SeederIdentity,
  admitHost,
  register,
  takeReport,
} from "../operations/seeder-calls.ts";

export function serveSeederRoutes(app: App, deps: AppDeps): void {
  serveRoute(app, deps, seederRoutes.register, ({ principal, body }) =>
    register(deps, seederOf(principal), body),
  );
  serveRoute(app, deps, seederRoutes.plan, async ({ principal, query, signal }) => {
    const plan = await waitForPlan(deps, seederOf(principal).region, query, signal);
    return plan ?? new RawResponse(new Response(null, { status: 304 }));
  });
  serveRoute(app, deps, seederRoutes.report, async ({ principal, body }) => {
    await takeReport(deps, seederOf(principal), body);
    return null;
  });
  serveRoute(app, deps, seederRoutes.checkLease, async ({ params, body }) => {
    await checkLease(deps, params.id, body.fence);
    return null;
  });
  serveRoute(app, deps, seederRoutes.passport, ({ principal, body }) =>
    admitHost(deps, seederOf(principal), body),
  );
}

/** The seeder whose passport it is. */
export function seederOf(principal: Principal): SeederIdentity {
  assert(principal.role === "seeder", "only seeders come here");
  return principal;
}
