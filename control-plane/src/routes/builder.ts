// Routes of builders. Who holds a lease is the name in the passport that took it: one key alone has it.
import { builderRoutes } from "@shoal/api/routes";
import { remoteError } from "@shoal/core/error";
import type { AppDeps } from "../app.ts";
import type { LeaseProof } from "../db/build-queue.ts";
import { keepTests } from "../db/build-tests.ts";
import type { Principal } from "../http/authenticate.ts";
import { type App, serveRoute } from "../http/serve-route.ts";
import { databaseUnadopted } from "../operations/adopt-database.ts";
import { appendLog } from "../operations/append-log.ts";
import { failBuild, proveCancelled, publishBuild } from "../operations/end-attempt.ts";
import { beat, drainBuilder, leaseBuild } from "../operations/lease-build.ts";
import { requireToldBefore } from "../operations/refused-call.ts";

export function serveBuilderRoutes(app: App, deps: AppDeps): void {
  serveRoute(app, deps, builderRoutes.lease, async ({ principal, body, signal }) => ({
    lease: await leaseBuild(
      deps,
      nameOf(principal),
      { ...body, labels: labelsOf(principal, body.labels) },
      signal,
    ),
  }));
  serveRoute(app, deps, builderRoutes.drain, async ({ principal, body }) => {
    await drainBuilder(deps, { builder: body.builder, holder: nameOf(principal) }, body.idle);
    return null;
  });
  serveRoute(app, deps, builderRoutes.heartbeat, (call) =>
    beat(deps, leaseOf(call, call.body), call.body.load ?? null),
  );
  serveRoute(app, deps, builderRoutes.appendLog, async (call) => {
    await appendLog(deps, leaseOf(call, call.query), call.query.offset, call.body);
    return null;
  });
  serveRoute(app, deps, builderRoutes.reportTests, async (call) => {
    const lease = leaseOf(call, call.body);
    if (!(await keepTests(deps.database, lease, call.body.report))) {
      await requireToldBefore(deps, lease, "tests", null);
      throw databaseUnadopted();
    }
    return null;
  });
  serveRoute(app, deps, builderRoutes.publish, (call) =>
    publishBuild(deps, leaseOf(call, call.body), call.body),
  );
  serveRoute(app, deps, builderRoutes.fail, (call) =>
    failBuild(deps, leaseOf(call, call.body), call.body),
  );
  serveRoute(app, deps, builderRoutes.cancelled, (call) =>
    proveCancelled(deps, leaseOf(call, call.body), call.body),
  );
}

function leaseOf(
  call: { readonly params: { readonly id: number }; readonly principal: Principal },
  { fence }: { readonly fence: string },
): LeaseProof {
  return { build: call.params.id, fence, holder: nameOf(call.principal) };
}

/** The route's role is `builder`: nobody else gets here. */
function nameOf(principal: Principal): string {
  return "name" in principal ? principal.name : "";
}

/** The builder's own, and those of its join token, of which it may say nothing else. */
function labelsOf(
  principal: Principal,
  own: Readonly<Record<string, string>>,
): Record<string, string> {
  const given = principal.role === "builder" ? principal.labels : {};
  const wrong = Object.keys(given).find((label) => (own[label] ?? given[label]) !== given[label]);
  if (wrong === undefined) return { ...own, ...given };
  throw remoteError("join_labels_wrong", `The join token gave label ${wrong} another value.`);
}
