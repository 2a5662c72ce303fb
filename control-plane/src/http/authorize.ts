// What a person's token allows: the route says which permission it needs, the path in which environment.
import type { Route } from "@shoal/api/route";
import { ShoalError } from "@shoal/core/error";
import type { Principal } from "./authenticate.ts";

/** Throws `permission_missing` for a person who may not call this route with these parameters. */
export function authorize(
  principal: Principal,
  route: Pick<Route, "permission">,
  params: Readonly<Record<string, unknown>>,
): void {
  if (principal.role !== "person") return;
  const { permission } = route;
  const environment = params["environment"];
  const isAllowed = principal.permissions.some(
    ({ may, environments }) =>
      may === permission &&
      (permission === "read" ||
        environments === null ||
        (typeof environment === "string" && environments.includes(environment))),
  );
  if (isAllowed) return;
  const where = typeof environment === "string" ? ` in ${environment}` : "";
  throw new ShoalError(
    "permission_missing",
    permission === null
      ? "This call is for the admin token alone."
      : `${principal.name} may not ${permission}${where}.`,
    {
      blame: "remote",
      hint: "Ask for a token that has the permission: shoal token create-person.",
      details: { permission },
    },
  );
}

/** Who asked, for people who look at it later. */
export function nameOf(principal: Principal): string {
  return principal.role === "person" ? principal.name : principal.role;
}
