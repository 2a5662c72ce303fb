// Routes by which builders and seeders become members, and stay ones.
import { members } from "@shoal/api/member-routes";
import { assert } from "@shoal/core/error";
import type { AppDeps } from "../app.ts";
import { type App, serveRoute } from "../http/serve-route.ts";
import { joinMember, passportFor } from "../operations/members.ts";

export function serveMemberRoutes(app: App, deps: AppDeps): void {
  serveRoute(app, deps, members.join, ({ body }) => joinMember(deps, body.request));
  serveRoute(app, deps, members.renew, ({ principal }) => {
    const { role } = principal;
    assert(role === "builder" || role === "seeder", "only members come here");
    return passportFor(deps, principal);
  });
}
