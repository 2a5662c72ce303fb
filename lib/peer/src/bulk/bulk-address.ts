// Addresses of bulk ports: multiaddrs of TCP, with `/tls` behind those that are encrypted. Strict, and
// only with numbers: a name would have to be looked up by whoever is told of it.
import { ShoalError } from "@shoal/core/error";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";

export interface BulkAddress {
  readonly host: string;
  readonly port: number;
  readonly isEncrypted: boolean;
}

const pattern =
  /^\/ip(?<family>[46])\/(?<host>[0-9a-fA-F.:]+)\/tcp\/(?<port>\d{1,5})(?<tls>\/tls)?$/;

/** Undefined for what isn't such an address. */
export function readBulkAddress(text: string): BulkAddress | undefined {
  const { family, host = "", port, tls } = pattern.exec(text)?.groups ?? {};
  if (isIP(host) !== Number(family) || Number(port) > 65_535) return undefined;
  return { host, port: Number(port), isEncrypted: tls !== undefined };
}

/** Where to listen. Throws `config_invalid`. */
export function requireBulkAddress(text: string): BulkAddress {
  const address = readBulkAddress(text);
  if (address !== undefined && !address.isEncrypted) return address;
  throw new ShoalError("config_invalid", `not an address for bulk sockets: ${text}`, {
    blame: "local",
    hint: "Use /ip4/10.0.0.5/tcp/7443 or /ip6/…/tcp/7443.",
  });
}

/** What others are told of a port: each address of this machine where it listens on all of them. */
export function tellBulkAddress({ host, port, isEncrypted }: BulkAddress): readonly string[] {
  const family = isIP(host);
  const hosts = host === "0.0.0.0" || host === "::" ? ownHosts(family) : [host];
  return hosts.map((each) => `/ip${family}/${each}/tcp/${port}${isEncrypted ? "/tls" : ""}`);
}

function ownHosts(family: number): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return all
    .filter((each) => each.family === `IPv${family}` && !(each.scopeid ?? 0))
    .map(({ address }) => address);
}
