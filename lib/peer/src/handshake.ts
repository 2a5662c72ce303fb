// Who is at the other end: hello and passport, on both sides, before anything else (PROTOCOL.md 6.1).
// The peer id is the one that TLS proved; the passport says what it may do.
import { remoteError, ShoalError } from "@shoal/core/error";
import type { PeerId } from "@shoal/core/ids";
import { helloMsMax, swarmAddressesMax } from "@shoal/core/limits";
import type { KnownPeer } from "@shoal/core/wire/messages";
import { protocolVersion } from "@shoal/core/wire/messages";
import type { Passport } from "@shoal/trust/passport";
import type { ControlStream } from "./control-stream.ts";

export interface HandshakeDeps {
  /** Our own passport, as it is now. */
  passport(): string;
  /** Rejects unless the passport is valid now and of this peer. */
  verifyPassport(passport: string, peerId: PeerId): Promise<Passport>;
  /** Where we can be dialed. */
  addresses(): readonly string[];
  /** Where our bulk port can be reached. */
  bulk(): readonly string[];
}

export interface Greeted {
  readonly known: KnownPeer;
  readonly passport: Passport;
  /** What it told of its bulk port. */
  readonly bulk: readonly string[];
}

/**
 * Says hello, hears hello, and checks the passport in it, within `helloMsMax`.
 * @throws ShoalError `peer_refused`, with the reason as its cause.
 */
export async function greet(
  control: ControlStream,
  peerId: PeerId,
  deps: HandshakeDeps,
): Promise<Greeted> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error("no hello in time")), helloMsMax);
  try {
    const addresses = deps.addresses().slice(0, swarmAddressesMax);
    const passport = deps.passport();
    const bulk = deps.bulk();
    control.send({ type: "hello", version: protocolVersion, passport, addresses, bulk });
    return await Promise.race([hear(control, peerId, deps), late.promise]);
  } catch (cause) {
    control.abort(cause);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ShoalError("peer_refused", `${peerId}: ${reason}`, { blame: "remote", cause });
  } finally {
    clearTimeout(timer);
  }
}

async function hear(control: ControlStream, peerId: PeerId, deps: HandshakeDeps): Promise<Greeted> {
  const hello = await control.first();
  if (hello.type !== "hello") throw remoteError("message_invalid", "the first message is no hello");
  if (hello.version !== protocolVersion) {
    throw remoteError("message_invalid", `speaks version ${hello.version}, not ${protocolVersion}`);
  }
  const passport = await deps.verifyPassport(hello.passport, peerId);
  const { zone, role } = passport;
  const known = { peerId, addresses: hello.addresses, zone, seeder: role === "seeder" };
  return { known, passport, bulk: hello.bulk };
}
