// How builders and seeders ask the control plane to let them in (PROTOCOL.md 5.1): the join token and what
// they want to be, signed by the key that the passport will be for. Hosts need no such paper: they join at
// a seeder, over a connection that proves their key.
import { name, peerId as peerIdSchema } from "@shoal/api/names";
import { remoteError } from "@shoal/core/error";
import type { PeerId } from "@shoal/core/ids";
import { callProofMs } from "@shoal/core/limits";
import { publicKeyOf } from "@shoal/core/peer-id";
import { keyIdOf } from "@shoal/core/trust/keys";
import { z } from "zod";
import type { KeyFile } from "./key-file.ts";
import { checkClaims } from "./payload.ts";
import { openToken, signToken } from "./token.ts";

const audience = "control-plane";
const claims = z.object({
  aud: z.literal(audience),
  sub: peerIdSchema,
  role: z.enum(["builder", "seeder"]),
  name,
  joinToken: z.string().max(512),
});

export interface JoinRequest {
  readonly role: "builder" | "seeder";
  /** One of its role alone has it. */
  readonly name: string;
  readonly joinToken: string;
}

export function issueJoinRequest(key: KeyFile, request: JoinRequest, nowMs: number): string {
  const { role, name, joinToken } = request;
  const body = { aud: audience, sub: key.peerId, role, name, joinToken };
  return signToken(key, "join", body, { nowMs, ttlMs: callProofMs });
}

/**
 * Who asks for what; whether the join token is any good is not looked at.
 * @throws ShoalError `join_invalid`, `join_expired`, `join_too_early` or `signature_invalid`.
 */
export async function verifyJoinRequest(
  text: string,
  nowMs: number,
): Promise<JoinRequest & { readonly peerId: PeerId }> {
  const lookup = (
    keyId: string,
    unverified: Readonly<Record<string, unknown>>,
  ): { readonly publicKey: Uint8Array } => {
    const { sub } = checkClaims(unverified, claims, "join_invalid");
    const publicKey = publicKeyOf(sub);
    if (keyIdOf(publicKey) === keyId) return { publicKey };
    throw remoteError("join_invalid", `the request isn't signed by ${sub}`);
  };
  const opened = await openToken(text, "join", lookup, nowMs);
  const { sub, aud: _audience, ...request } = checkClaims(opened.claims, claims, "join_invalid");
  return { ...request, peerId: sub };
}
