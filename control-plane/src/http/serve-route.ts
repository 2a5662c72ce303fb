// Registers one row of the route table: authenticates, limits and decodes what came in, calls, answers.
// Handlers see decoded values only and answer plain data.
import {
  type AnswerOf,
  type BodyOf,
  type ParamsOf,
  type QueryOf,
  type Route,
  rawBytes,
} from "@shoal/api/route";
import { ShoalError } from "@shoal/core/error";
import type { Context, Hono, MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { RequestIdVariables } from "hono/request-id";
import type { z } from "zod";
import { authorize } from "./authorize.ts";
import { type AuthenticateDeps, type Principal, authenticate } from "./authenticate.ts";

export type Env = { Variables: RequestIdVariables };
export type App = Hono<Env>;

export interface Call<R extends Route> {
  readonly params: ParamsOf<R>;
  readonly query: QueryOf<R>;
  readonly body: BodyOf<R>;
  readonly principal: Principal;
  readonly header: (name: string) => string | undefined;
  /** Aborted when the caller goes away. */
  readonly signal: AbortSignal;
}

/** An answer with another status than the row's, or that isn't JSON. */
export class RawResponse {
  readonly response: Response;

  constructor(response: Response) {
    this.response = response;
  }
}

export type Handler<R extends Route> = (call: Call<R>) => Promise<AnswerOf<R> | RawResponse>;

export function serveRoute<R extends Route>(
  app: App,
  deps: AuthenticateDeps,
  route: R,
  handler: Handler<R>,
): void {
  const limit = limitBody(route.bodyBytesMax);
  app.on(route.method, `/v1${route.path}`, limit, async (context) => {
    // Who calls comes first: strangers learn nothing about what a call takes.
    const principal = await authenticate(deps, route.role, context.req.header("authorization"));
    const params = check(route.params, context.req.param(), "path") as ParamsOf<R>;
    authorize(principal, route, params);
    const answer = await handler({
      params,
      query: check(route.query, context.req.query(), "query") as QueryOf<R>,
      body: (await readBody(route, context)) as BodyOf<R>,
      principal,
      header: (name) => context.req.header(name),
      signal: context.req.raw.signal,
    });
    if (answer instanceof RawResponse) return answer.response;
    if (route.status === 204) return context.body(null, 204);
    return context.json(answer as object, route.status);
  });
}

/**
 * Refuses bodies that are too large. Where the length is said, Node's parser holds the caller to it;
 * the other way, reading the body as a stream, costs more than all the rest of a small call.
 */
function limitBody(bytesMax: number): MiddlewareHandler<Env> {
  const refuse = (): never => {
    const message = `The body is larger than ${bytesMax} bytes.`;
    throw new ShoalError("body_too_large", message, { blame: "remote" });
  };
  const counted = bodyLimit({ maxSize: bytesMax, onError: refuse });
  return async (context, next) => {
    const length = context.req.header("content-length");
    if (length === undefined || context.req.header("transfer-encoding") !== undefined) {
      return counted(context, next);
    }
    if (!(Number(length) <= bytesMax)) refuse();
    await next();
    return undefined;
  };
}

async function readBody(route: Route, context: Context): Promise<unknown> {
  if (route.body === null) return null;
  const bytes = await context.req.arrayBuffer();
  if (route.body === rawBytes) return new Uint8Array(bytes);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new ShoalError("invalid_input", "The body isn't JSON.", { blame: "remote" });
  }
  return check(route.body, json, "body");
}

/** Names every fault with the path to it. */
function check(schema: z.ZodType, value: unknown, where: string): unknown {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, 32).map((issue) => ({
    path: [where, ...issue.path.map(String)].join("."),
    message: issue.message,
  }));
  throw new ShoalError("invalid_input", `The ${where} isn't as it should be.`, {
    blame: "remote",
    details: { issues },
  });
}
