// What rows of the route table are made of: what most of them have, and parameters that many take.
import { jsonBodyBytesMax, pageItemsDefault, pageItemsMax } from "@shoal/core/limits";
import { z } from "zod";
import type { Permission } from "./environments.ts";
import { cursor, name } from "./names.ts";
import type { Route, RouteAnswer, RouteBody } from "./route.ts";

export const none = z.strictObject({});
export const byId = z.strictObject({ id: z.coerce.number().int().positive() });
export const byService = z.strictObject({ environment: name, service: name });
export const paging = {
  limit: z.coerce.number().int().min(1).max(pageItemsMax).default(pageItemsDefault),
  cursor: cursor.optional(),
};
export const pageQuery = z.strictObject(paging);
export const waitMs = z.coerce.number().int().min(0).max(10_000).default(0);

const defaults = {
  role: "admin",
  permission: null as Permission | null,
  params: none,
  query: none,
  body: null,
  bodyBytesMax: jsonBodyBytesMax,
  answer: null,
  answerBytesMax: jsonBodyBytesMax,
  status: 200,
} as const satisfies Partial<Route>;

/** Fills in what most rows have, and keeps the exact types of what the row says itself. */
export function row<
  const Row extends Partial<Route<z.ZodObject, z.ZodObject, RouteBody, RouteAnswer>> &
    Pick<Route, "method" | "path" | "summary">,
>(given: Row): Omit<typeof defaults, keyof Row> & Row {
  // Who may look at anything may look at everything.
  const permission: Permission | null = given.method === "GET" ? "read" : null;
  return { ...defaults, permission, ...given };
}
