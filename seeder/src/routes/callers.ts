// Who calls: a certificate proves a peer id, a passport says who that is, a grant says what its bearer
// may do here. Every route asks for exactly one of them.
import type { HttpBindings } from "@hono/node-server";
import { ShoalError, remoteError } from "@shoal/core/error";
import type { PeerId } from "@shoal/core/ids";
import { tokenBytesMax } from "@shoal/core/limits";
import { peerIdOfCertificate } from "@shoal/trust/certificate";
import { verifyGrant, type Grant, type GrantScope } from "@shoal/trust/grant";
import { swarmRoles, verifyPassport, type Passport } from "@shoal/trust/passport";
import type { TrustKeeper } from "@shoal/trust/trust-keeper";
import type { Context } from "hono";
import { TLSSocket } from "node:tls";
import { seederStarting } from "../control/region-membership.ts";

export interface SeederEnv {
  Bindings: HttpBindings;
  Variables: { requestId: string };
}

export interface CallersDeps {
  readonly trust: Pick<TrustKeeper, "document" | "isRevoked">;
  readonly now: () => number;
  /** Null until the control plane or the disk said it. */
  readonly region: () => string | null;
}

export class Callers {
  readonly #deps: CallersDeps;

  constructor(deps: CallersDeps) {
    this.#deps = deps;
  }

  /** The peer id that the TLS handshake proved. Throws `unauthorized` when there was no certificate. */
  peerId(context: Context<SeederEnv>): PeerId {
    const { socket } = context.env.incoming;
    const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
    if (certificate === undefined)
      throw new ShoalError("unauthorized", "This call needs a client certificate.", {
        blame: "remote",
      });
    return peerIdOfCertificate(certificate.raw);
  }

  /** A passport of this region for the key behind the connection. */
  async passport(context: Context<SeederEnv>): Promise<Passport> {
    const peerId = this.peerId(context);
    const passport = await verifyPassport(bearer(context), this.#deps.trust.document(), {
      nowMs: this.#deps.now(),
      peerId,
      roles: swarmRoles,
      isRevoked: this.#deps.trust.isRevoked,
    });
    if (passport.region !== this.region())
      throw remoteError("passport_region_wrong", `The passport is of region ${passport.region}.`);
    return passport;
  }

  /** For calls that wait: whether the passport is still good after the wait. Throws `passport_revoked`. */
  requireUnrevoked({ peerId, issuer }: Passport): void {
    const { isRevoked } = this.#deps.trust;
    if (!isRevoked(peerId) && (issuer === null || !isRevoked(issuer))) return;
    throw remoteError("passport_revoked", "The passport was revoked meanwhile.");
  }

  async grant<Scope extends GrantScope>(
    context: Context<SeederEnv>,
    scope: Scope,
  ): Promise<Extract<Grant, { readonly scope: NoInfer<Scope> }>> {
    const expected = { nowMs: this.#deps.now(), region: this.region(), scope };
    return verifyGrant<Scope>(bearer(context), this.#deps.trust.document(), expected);
  }

  region(): string {
    const region = this.#deps.region();
    if (region !== null) return region;
    throw seederStarting();
  }
}

function bearer(context: Context): string {
  const header = context.req.header("authorization");
  if (header === undefined || !header.startsWith("Bearer ") || header.length > tokenBytesMax) {
    throw new ShoalError("unauthorized", "This call needs a passport or a grant.", {
      blame: "remote",
    });
  }
  return header.slice("Bearer ".length);
}
