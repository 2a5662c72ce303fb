// Who calls: the bearer of the admin token, or of a token of a builder, a seeder or a person.
import { ShoalError } from "@shoal/core/error";
import type { Role } from "@shoal/api/route";
import type { Person } from "../db/people.ts";
import type { TokenOwner } from "../db/tokens.ts";
import type { KnownTokens } from "../operations/known-tokens.ts";
import { hashEquals, hashToken } from "../operations/secrets.ts";

export type Principal =
  | { readonly role: "anybody" }
  | { readonly role: "admin" }
  | TokenOwner
  | Person;

export interface AuthenticateDeps {
  readonly tokens: KnownTokens;
  /** SHA-256 of the admin token. */
  readonly adminTokenHash: Uint8Array;
}

/** Longest token that is looked at; ours are shorter, an operator's own admin token may be longer. */
const tokenLengthMax = 512;

/** Throws `unauthorized` without a good token, `forbidden` with one of another role. */
export async function authenticate(
  deps: AuthenticateDeps,
  role: Role,
  authorization: string | undefined,
): Promise<Principal> {
  if (role === "any") return { role: "anybody" };
  const [scheme, token] = (authorization ?? "").split(" ");
  if (scheme?.toLowerCase() !== "bearer" || token === undefined || token.length > tokenLengthMax) {
    throw unauthorized("This call needs a bearer token.");
  }
  const hash = hashToken(token);
  const principal: Principal | null = hashEquals(hash, deps.adminTokenHash)
    ? { role: "admin" }
    : await deps.tokens.find(hash);
  if (principal === null) throw unauthorized("The token isn't known.");
  // What a person may do on the admin's calls is the route's business.
  if (principal.role === "person" && role === "admin") return principal;
  if (principal.role !== role) {
    throw new ShoalError(
      "forbidden",
      `This call is for role ${role}, the token is of role ${principal.role}.`,
      {
        blame: "remote",
      },
    );
  }
  return principal;
}

function unauthorized(message: string): ShoalError {
  return new ShoalError("unauthorized", message, {
    blame: "remote",
    hint: "Make a token with POST /v1/tokens, or take the admin token that the control plane was started with.",
  });
}
