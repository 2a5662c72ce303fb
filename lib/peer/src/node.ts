// A member of the swarm: composes libp2p, links and the scheduler's driver into a PeerNode.
import type { Libp2p } from "@libp2p/interface";
import { assert, ShoalError } from "@shoal/core/error";
import type { ArtifactCid, PeerId } from "@shoal/core/ids";
import { downloadBytesOpenMax, stopStepMsMax } from "@shoal/core/limits";
import { mebibyte, type Bytes } from "@shoal/core/units";
import { withDefaults } from "@shoal/core/swarm/config";
import type { SwarmLogEvent } from "@shoal/core/swarm/log-events";
import type { KnownPeer } from "@shoal/core/wire/messages";
import type { Log } from "@shoal/daemon/log";
import type { Certificate } from "@shoal/trust/certificate";
import type { Passport } from "@shoal/trust/passport";
import { type BudgetConfig, Budgets } from "./budgets.ts";
import type { BulkConfig } from "./bulk-config.ts";
import { BulkPort } from "./bulk/bulk-port.ts";
import { Driver } from "./driver.ts";
import { Discovery } from "./discovery.ts";
import { createLibp2pNode, type Libp2pOptions } from "./libp2p-node.ts";
import { Links } from "./links.ts";
import type { LinkListener } from "./peer-link.ts";
import type { JoinOptions, Membership, PeerCandidate, PeerNode } from "./peer-node.ts";
import { Traffic } from "./traffic.ts";

export interface PeerNodeDeps {
  /** The node's own key: its peer id, and what its passport is about. */
  readonly key: { readonly peerId: PeerId; exportSecretRaw(): Uint8Array };
  /** The same key's certificate, for links and bulk sockets. */
  readonly certificate: Certificate;
  /** The node's passport as it is now; may throw while there is none, and then no link is opened. */
  passport(): string;
  /** Rejects unless a passport is valid now and of this peer. */
  verifyPassport(passport: string, peerId: PeerId): Promise<Passport>;
  /** Whether somebody was shut out: links to it are refused, and open ones ended within `permissionsMs`. */
  isRevoked(peerId: PeerId): boolean;
  /** Whether the bearer of a passport may take part in an artifact's swarm, as of now. */
  allows(artifact: ArtifactCid, passport: Passport): boolean;
  /** Hears how long each request took that was answered whole. */
  requestAnswered?(ms: number): void;
  readonly log: Log;
  /** Hears of everything that the scheduler does, each piece included. */
  readonly onEvent?: (event: SwarmLogEvent) => void;
}

export interface PeerNodeConfig {
  /** Multiaddrs to listen on: `/ip4/0.0.0.0/tcp/4100`; port 0 for a free one. */
  readonly listen: readonly string[];
  /** Where chunks are carried; without it, on the loopback, on a free port, encrypted. */
  readonly bulk?: BulkConfig;
  /** Bytes per second each way; no limit when absent. */
  readonly budgets?: BudgetConfig;
  /** Whether this node hands out first copies. */
  readonly seeder: boolean;
  /** Resident memory that the process should stay within; buffers are derived from it. */
  readonly memoryBytesMax?: Bytes;
  /** Links at once; by default what limits.ts says for hosts and seeders. */
  readonly linksMax?: number;
}

const loopback: BulkConfig = { listen: ["/ip4/127.0.0.1/tcp/0"], isEncrypted: true };

/** What a process takes before it moves anything: the runtime, libp2p, manifests, and some to spare. */
const idleBytes = 160 * mebibyte;

/**
 * A third of what is left is for what was asked for and isn't stored. Buffers that are kept for what comes next may
 * be a little more: each is as large as the longest run that it ever held.
 */
function buffersWithin(memoryBytesMax: Bytes | undefined): {
  readonly downloadBytesOpenMax: Bytes;
  readonly poolBytesMax: Bytes;
} {
  const left = (memoryBytesMax ?? idleBytes + 3 * downloadBytesOpenMax) - idleBytes;
  assert(left >= 16 * mebibyte, "there is memory for buffers");
  return { downloadBytesOpenMax: left / 3, poolBytesMax: (left * 2) / 5 };
}

/** Starts a node. Rejects with `swarm_listen_failed` when it can't listen. */
export async function createPeerNode(deps: PeerNodeDeps, given: PeerNodeConfig): Promise<PeerNode> {
  const { listen, seeder, linksMax, bulk = loopback, budgets: rates = {} } = given;
  const buffers = buffersWithin(given.memoryBytesMax);
  const config = withDefaults({
    ...{ seeder, self: deps.key.peerId },
    // A seeder serves its whole region: nobody is nearer to it than others.
    zone: seeder ? "" : await ownZone(deps),
    logPieces: deps.onEvent !== undefined,
    ...(linksMax === undefined ? {} : { linksMax }),
    downloadBytesOpenMax: buffers.downloadBytesOpenMax,
  });
  const port = new BulkPort(deps, bulk, buffers);
  await port.start();
  const discovery = new Discovery();
  const limits = { listen, linksMax: config.linksMax };
  const libp2p = await startLibp2p(deps, { ...limits, discovery }, port);
  const addresses = (): readonly string[] => libp2p.getMultiaddrs().map(withoutPeerId);
  const { log } = deps;
  const budgets = new Budgets(rates);
  const traffic = new Traffic(config.zone, (ms) => deps.requestAnswered?.(ms));
  const driver = new Driver(
    {
      self: deps.key.peerId,
      log,
      budgets,
      traffic,
      onEvent: deps.onEvent,
      allows: (artifact, passport) => deps.allows(artifact, passport),
      isRevoked: (peer) => deps.isRevoked(peer),
      dial: (peer, addresses) => links.dial(peer, addresses),
    },
    config,
  );
  const links = new Links({
    libp2p,
    port,
    budgets,
    traffic,
    log,
    handshake: {
      passport: () => deps.passport(),
      verifyPassport: (passport, peerId) => deps.verifyPassport(passport, peerId),
      addresses,
      bulk: () => port.addresses(),
    },
    opened: (link) => {
      driver.opened(link);
      const { addresses: known, peerId } = link.known;
      discovery.linkOpened(link.connection, known).catch((error: unknown) => {
        log.debug({ error, peer: peerId }, "a peer isn't in the table");
      });
    },
    listener: listenerOf(driver),
  });
  await links.start();
  discovery.use(links);
  let stopped: Promise<void> | undefined;
  return {
    peerId: deps.key.peerId,
    addresses,
    join: (options: JoinOptions): Membership => driver.join(options),
    traffic: () => driver.traffic(),
    setBudgets: (changed) => budgets.set(changed),
    linkedPeers: () => links.peers().map(candidateOf),
    findPeers: (cid, signal) => discovery.find(cid, signal),
    stop: () => {
      budgets.stop();
      return (stopped ??= stopNode(libp2p, port, links, driver));
    },
  };
}

function listenerOf(driver: Driver): LinkListener {
  return {
    message: (link, message) => driver.message(link, message),
    run: (link, run) => driver.run(link, run),
    requestEnded: (link, request) => driver.requestEnded(link, request),
    requestLost: (link, request) => driver.requestLost(link, request),
    closed: (link, error) => driver.closed(link, error),
  };
}

async function startLibp2p(
  { key, certificate }: PeerNodeDeps,
  options: Omit<Libp2pOptions, "secretKey" | "certificate">,
  port: BulkPort,
): Promise<Libp2p> {
  const { listen } = options;
  try {
    return await createLibp2pNode({ ...options, certificate, secretKey: key.exportSecretRaw() });
  } catch (cause) {
    await port.stop();
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ShoalError("swarm_listen_failed", `can't listen on ${listen.join(", ")}: ${reason}`, {
      blame: "environment",
      cause,
    });
  }
}

/** Links are closed first: a peer that hears nothing more asks elsewhere at once. */
async function stopNode(
  libp2p: Libp2p,
  port: BulkPort,
  links: Links,
  driver: Driver,
): Promise<void> {
  links.stop();
  await driver.stop();
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), stopStepMsMax / 2);
  await Promise.race([Promise.all([libp2p.stop(), port.stop()]), late.promise]);
  clearTimeout(timer);
}

/** The zone in the node's own passport; peers of the same one go first. Unknown without a passport. */
async function ownZone(deps: PeerNodeDeps): Promise<string> {
  try {
    return (await deps.verifyPassport(deps.passport(), deps.key.peerId)).zone;
  } catch (error) {
    deps.log.warn({ error }, "no passport of our own yet: no peer counts as near");
    return "";
  }
}

function candidateOf({ peerId, addresses, zone, seeder }: KnownPeer): PeerCandidate {
  return { peerId, swarmAddresses: addresses, zone, seeder };
}

function withoutPeerId(address: { toString(): string }): string {
  return address.toString().replace(/\/p2p\/[^/]+$/, "");
}
