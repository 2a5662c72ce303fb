// What hosts say and ask, but for artifacts: joining, passports, goals, reports; and the list of hosts for the
// control plane.
import { hostGoalsQuery, hostReport, joinInput } from "@shoal/api/seeder";
import { remoteError } from "@shoal/core/error";
import { Hono } from "hono";
import { z } from "zod";
import type { SeederDeps } from "../app.ts";
import { readJson, readQuery } from "./bodies.ts";
import type { SeederEnv } from "./callers.ts";

const hostsQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  cursor: z.string().max(512).optional(),
});

export function hostRoutes(deps: SeederDeps): Hono<SeederEnv> {
  const { callers, hosts, now, changes, answers, joins, trust } = deps;
  const routes = new Hono<SeederEnv>();

  routes.post("/join", async (context) => {
    const peerId = callers.peerId(context);
    const input = await readJson(context, joinInput);
    return context.json(await joins.join({ ...input, peerId }));
  });

  routes.post("/host/passport", async (context) => {
    const passport = await callers.passport(context);
    if (passport.role !== "host")
      throw remoteError("forbidden", "Only hosts renew passports here.");
    return context.json({ passport: await joins.renew(passport) });
  });

  // Also for those whose passport is of no use before they know the newest trust document.
  routes.get("/host/trust", (context) => {
    callers.peerId(context);
    return context.json(trust.state());
  });

  routes.get("/host/goals", async (context) => {
    const passport = await callers.passport(context);
    const { known, waitMs } = readQuery(context, hostGoalsQuery);
    // A span, not a point in time: the clock of the day may be set meanwhile.
    const deadlineAtMs = performance.now() + waitMs;
    for (;;) {
      const changed = changes.nextGoals();
      const { version, body } = answers.answer(passport, hosts.servicesOf(passport.peerId));
      const leftMs = deadlineAtMs - performance.now();
      if (version !== known || leftMs <= 0 || context.req.raw.signal.aborted) {
        changed.drop();
        if (version === known) return context.body(null, 304);
        return context.body(body, 200, { "content-type": "application/json" });
      }
      await changed.within(leftMs, context.req.raw.signal);
      callers.requireUnrevoked(passport);
    }
  });

  routes.post("/host/report", async (context) => {
    const passport = await callers.passport(context);
    const report = await readJson(context, hostReport);
    if (report.host !== passport.host)
      throw remoteError("invalid_input", "The report is of another host than the passport.");
    if (hosts.report(passport, report, now())) changes.reported();
    return context.body(null, 204);
  });

  routes.get("/hosts", async (context) => {
    await callers.grant(context, "inspect");
    const { limit, cursor } = readQuery(context, hostsQuery);
    return context.json(hosts.page(now(), limit, cursor));
  });

  return routes;
}
