// What a process says about its bulk sockets, and how its settings say it.

export interface BulkConfig {
  /** Multiaddrs to listen on: `/ip4/10.0.0.5/tcp/7443`. Empty: chunks go over streams alone. */
  readonly listen: readonly string[];
  /** What others are told instead of where it listens. */
  readonly advertised?: readonly string[];
  /** False only where the operator trusts the wire: chunks are then readable on it. */
  readonly isEncrypted: boolean;
}

/** The settings of the same name that every member of a swarm has. */
export interface BulkSettings {
  readonly swarmListen: readonly string[];
  readonly bulkListen?: readonly string[] | undefined;
  readonly bulkAdvertised?: readonly string[] | undefined;
  readonly bulkEncrypted: boolean;
}

/** Where nothing is said, bulk sockets are on a free port of each address of the swarm. */
export function bulkConfigOf({
  swarmListen,
  bulkListen: listen = swarmListen.flatMap(freePortBeside),
  bulkAdvertised: advertised,
  bulkEncrypted: isEncrypted,
}: BulkSettings): BulkConfig {
  return advertised === undefined ? { listen, isEncrypted } : { listen, advertised, isEncrypted };
}

function freePortBeside(swarmAddress: string): readonly string[] {
  const host = /^\/ip[46]\/[^/]+(?=\/tcp\/\d+$)/.exec(swarmAddress)?.[0];
  return host === undefined ? [] : [`${host}/tcp/0`];
}
