// Routes about whom to believe.
import { seederTrustRoutes, trustRoutes } from "@shoal/api/trust-routes";
import { revokedPeersMax } from "@shoal/core/limits";
import type { AppDeps } from "../app.ts";
import { listRevocations } from "../db/trust.ts";
import { type App, serveRoute } from "../http/serve-route.ts";
import { listJoinTokens, takeAdmissions } from "../operations/admissions.ts";
import { publishTrust, readTrustState, revokePeer } from "../operations/trust.ts";
import { seederOf } from "./seeder.ts";

export function serveTrustRoutes(app: App, deps: AppDeps): void {
  const answer = async () => {
    const { version, expires } = deps.trust.document();
    return { version, expires, documents: deps.trust.state().documents };
  };
  serveRoute(app, deps, trustRoutes.get, answer);
  serveRoute(app, deps, trustRoutes.publish, async ({ body }) => {
    await publishTrust(deps, body.documents);
    return answer();
  });
  serveRoute(app, deps, trustRoutes.revoke, async ({ body }) => {
    const revocation = await revokePeer(deps, body.peerId);
    deps.members.forget();
    return revocation;
  });
  serveRoute(app, deps, trustRoutes.revocations, async () => ({
    items: await listRevocations(deps.database, revokedPeersMax),
  }));
  serveRoute(app, deps, seederTrustRoutes.state, () => readTrustState(deps));
  serveRoute(app, deps, seederTrustRoutes.joinTokens, ({ principal }) =>
    listJoinTokens(deps.database, seederOf(principal).region),
  );
  serveRoute(app, deps, seederTrustRoutes.admissions, async ({ principal, body }) => {
    await takeAdmissions(deps, seederOf(principal), body.items);
    return null;
  });
}
