// Finds members of an artifact's swarm without a seeder: provider records in a Kademlia table among the
// nodes of a region. Our part is whom it may talk to: a node that has shown its passport, which is to say
// one with an open link; nobody else is asked or answered. While seeders answer, it asks nobody without
// a link, so that the table costs next to nothing; `find` opens links where the search leads.
import { kadDHT, type KadDHT, type KadDHTComponents, passthroughMapper } from "@libp2p/kad-dht";
import { start, stop } from "@libp2p/interface";
import type { Connection, PeerId as Libp2pPeerId, Stream, Topology } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import { dhtKeyOf } from "@shoal/core/cid";
import { ShoalError } from "@shoal/core/error";
import type { ArtifactCid, PeerId } from "@shoal/core/ids";
import { discoveryMsMax, peersHandedOutMax, providerRecordMs } from "@shoal/core/limits";
import { hourMs, minuteMs } from "@shoal/core/units";
import type { PeerCandidate } from "./peer-node.ts";

export interface DiscoveryLinks {
  /** The connection of an open link. */
  linked(peer: PeerId): Connection | undefined;
  /** The same, opened if need be; rejects when it can't be. */
  open(peer: PeerId, addresses: readonly string[]): Promise<Connection>;
}

const protocol = "/shoal/kad/1";

export class Discovery {
  #links: DiscoveryLinks | undefined;
  #components: Components | undefined;
  #topology: Topology | undefined;
  #dht: KadDHT | undefined;
  #searches = 0;

  /** What libp2p starts and stops: the table, with its ways to others narrowed to links. */
  attach(components: Components): Startable {
    const { connectionManager, registrar } = components;
    this.#components = components;
    const { peerId, privateKey, addressManager, peerStore, datastore, events, logger } = components;
    const dht = kadDHT({
      protocol,
      clientMode: false,
      peerInfoMapper: passthroughMapper,
      // Whoever looks for peers has links; before there are any, a search ends with nothing.
      allowQueryWithZeroPeers: true,
      // The table is filled by links. Looking for oneself would link every pair of near keys.
      initialQuerySelfInterval: 24 * hourMs,
      querySelfInterval: 24 * hourMs,
      // A member that still looks renews its record by looking.
      reprovide: { validity: providerRecordMs, interval: 10 * minuteMs, threshold: 1 },
    })({
      ...{ peerId, privateKey, addressManager, peerStore, datastore, events, logger },
      registrar: narrowed(registrar, {
        register: async (_protocol: string, topology: Topology) => {
          this.#topology = topology;
          return "links";
        },
        unregister: () => (this.#topology = undefined),
        handle: (name: string, handler: Handler, options: unknown) =>
          registrar.handle(name, this.#guarded(handler), options as object),
      }),
      connectionManager: narrowed(connectionManager, {
        openStream: async (peer: Libp2pPeerId, name: string | string[], options: object) =>
          (await this.#reach(peer)).newStream(name, options),
      }),
      ping: {
        ping: async (peer: Libp2pPeerId) => {
          await this.#reach(peer);
          return 0;
        },
      },
    });
    this.#dht = dht;
    // Only its life is libp2p's business: nothing else is to find peers or content through it.
    return { start: () => start(dht), stop: () => stop(dht) };
  }

  /** From now on there are links to talk over. */
  use(links: DiscoveryLinks): void {
    this.#links = links;
  }

  /**
   * A link is open: the table hears of the peer now, and not of connections, which come before the
   * passport. Whether it gets in is no matter to the link.
   */
  async linkOpened({ remotePeer }: Connection, addresses: readonly string[]): Promise<void> {
    const multiaddrs = addresses.map((address) => multiaddr(address));
    await this.#components?.peerStore.merge(remotePeer, { multiaddrs });
    const connection = this.#links?.linked(remotePeer.toString());
    if (connection !== undefined) await this.#topology?.onConnect?.(remotePeer, connection);
  }

  /**
   * Tells that this node is a member and answers others that said so, within `discoveryMsMax`. An empty
   * list when there are none, or nobody to ask. Rejects only when the signal is aborted.
   */
  async find(cid: ArtifactCid, signal: AbortSignal): Promise<readonly PeerCandidate[]> {
    const found = new Map<PeerId, PeerCandidate>();
    const limit = AbortSignal.any([signal, AbortSignal.timeout(discoveryMsMax)]);
    const key = dhtKeyOf(cid);
    this.#searches += 1;
    try {
      // Told first, so that of two that look at the same time at least one finds the other.
      for await (const event of this.#dht?.provide(key, { signal: limit }) ?? []) void event;
      for await (const event of this.#dht?.findProviders(key, { signal: limit }) ?? []) {
        if (event.name !== "PROVIDER") continue;
        for (const { id, multiaddrs } of event.providers) {
          const [peerId, swarmAddresses] = [id.toString(), multiaddrs.map(withoutPeerId)];
          // Its zone and role are what its passport says, once it is linked.
          found.set(peerId, { peerId, swarmAddresses, zone: "", seeder: false });
        }
        if (found.size >= peersHandedOutMax) break;
      }
    } catch (error) {
      signal.throwIfAborted();
      // A search that came to nothing, or ran out of time: what was found is found.
      if (!(error instanceof Error)) throw error;
    } finally {
      this.#searches -= 1;
    }
    found.delete(this.#components?.peerId.toString() ?? "");
    return [...found.values()];
  }

  #guarded(handler: Handler): Handler {
    return async (stream, connection) => {
      const linked = this.#links?.linked(connection.remotePeer.toString());
      if (linked?.id === connection.id) await handler(stream, connection);
      else stream.abort(new Error("no link, no answer"));
    };
  }

  /** A connection to a peer that has shown its passport. */
  async #reach(peer: Libp2pPeerId): Promise<Connection> {
    const id = peer.toString();
    const linked = this.#links?.linked(id);
    if (linked !== undefined) return linked;
    if (this.#links === undefined || this.#searches === 0) {
      throw new ShoalError("connection_failed", `no link to ${id}`, { blame: "environment" });
    }
    const { addresses = [] } = (await this.#components?.peerStore.get(peer)) ?? {};
    return this.#links.open(
      id,
      addresses.map(({ multiaddr }) => withoutPeerId(multiaddr)),
    );
  }
}

type Handler = (stream: Stream, connection: Connection) => void | Promise<void>;
interface Startable {
  start(): void | Promise<void>;
  stop(): void | Promise<void>;
}
/** Pings are ours, too: a peer is there while it is linked. */
export type Components = Omit<KadDHTComponents, "ping">;

/** The same object with some methods of ours. */
function narrowed<T extends object>(whole: T, methods: object): T {
  return Object.assign(Object.create(whole) as T, methods);
}

function withoutPeerId(address: { toString(): string }): string {
  return address.toString().replace(/\/p2p\/[^/]+$/, "");
}
