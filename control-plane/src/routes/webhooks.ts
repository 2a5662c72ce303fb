// Routes of webhooks: git hosts tell of pushes.
import { webhooks } from "@shoal/api/build-routes";
import type { AppDeps } from "../app.ts";
import { addWebhookSecret } from "../db/webhooks.ts";
import { type App, serveRoute } from "../http/serve-route.ts";
import { notFound } from "../operations/not-found.ts";
import { createToken } from "../operations/secrets.ts";
import { takePush } from "../operations/take-push.ts";

export function serveWebhookRoutes(app: App, deps: AppDeps): void {
  serveRoute(app, deps, webhooks.createSecret, async ({ params }) => {
    const token = createToken("webhook");
    if (!(await addWebhookSecret(deps.database, params.project, token))) {
      throw notFound("project", params.project);
    }
    return { token };
  });
  serveRoute(app, deps, webhooks.push, ({ params, body, header }) =>
    takePush(deps, params.project, {
      event: header("x-github-event"),
      delivery: header("x-github-delivery"),
      signature: header("x-hub-signature-256"),
      bytes: body,
    }),
  );
}
