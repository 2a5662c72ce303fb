// Who calls: the bearer of the admin token or of a person's, or a builder or seeder that proves its passport.
import { ShoalError } from "@shoal/core/error";
import { tokenBytesMax } from "@shoal/core/limits";
import { callerRefusal } from "@shoal/api/problem";
import type { Role } from "@shoal/api/route";
import type { Person } from "../db/people.ts";
import type { KnownMembers, Member } from "../operations/known-members.ts";
import type { KnownTokens } from "../operations/known-tokens.ts";
import { hashEquals, hashToken } from "../operations/secrets.ts";

export type Principal = { readonly role: "anybody" } | { readonly role: "admin" } | Member | Person;

export interface AuthenticateDeps {
  readonly tokens: KnownTokens;
  readonly members: KnownMembers;
  /** SHA-256 of the admin token. */
  readonly adminTokenHash: Uint8Array;
}

/** Longest token that is looked at; ours are shorter, an operator's own admin token may be longer. */
const tokenLengthMax = 512;
/** Two dots: a proof of a passport, and never a token of ours. */
const proofForm = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/**
 * Throws `unauthorized` without a good token, `forbidden` with one of another role, and what
 * `verifyCallProof` throws; each as a `callerRefusal`.
 */
export async function authenticate(
  deps: AuthenticateDeps,
  role: Role,
  authorization: string | undefined,
): Promise<Principal> {
  try {
    return await callerOf(deps, role, authorization);
  } catch (error) {
    throw callerRefusal(error);
  }
}

async function callerOf(
  deps: AuthenticateDeps,
  role: Role,
  authorization: string | undefined,
): Promise<Principal> {
  if (role === "any") return { role: "anybody" };
  const [scheme, token] = (authorization ?? "").split(" ");
  if (scheme?.toLowerCase() !== "bearer" || token === undefined || token.length > tokenBytesMax) {
    throw unauthorized("This call needs a bearer token.");
  }
  const principal = await principalOf(deps, token);
  // What a person may do on the admin's calls is the route's business.
  if (principal.role === "person" && role === "admin") return principal;
  const isMember = principal.role === "builder" || principal.role === "seeder";
  if (principal.role !== role && !(role === "member" && isMember)) {
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

async function principalOf(deps: AuthenticateDeps, token: string): Promise<Principal> {
  const hash = token.length > tokenLengthMax ? null : hashToken(token);
  if (hash !== null && hashEquals(hash, deps.adminTokenHash)) return { role: "admin" };
  if (proofForm.test(token)) return deps.members.find(token);
  if (hash === null) throw unauthorized("The token isn't known.");
  const person = await deps.tokens.find(hash);
  if (person === null) throw unauthorized("The token isn't known.");
  return person;
}

function unauthorized(message: string): ShoalError {
  return new ShoalError("unauthorized", message, {
    blame: "remote",
    hint: "Make a person's token with shoal token create-person, or take the admin token that the control plane was started with.",
  });
}
