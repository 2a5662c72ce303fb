// How hosts come to be linked, and how links end.
import type { Millis } from "@shoal/core/units";
import { kinds } from "./event-kinds.ts";
import type { LinkTable } from "./link-table.ts";
import type { Mail } from "./mail.ts";
import type { Network } from "./network.ts";
import { slot, type SimHost, type Site } from "./sim-host.ts";

/**
 * A handshake is three round trips: TCP, TLS, hello. The one who was dialed is linked when it sends the last
 * message, the dialer when that arrives.
 */
const waysBeforeLast = 5;

export interface ConnectionsDeps {
  readonly links: LinkTable;
  readonly mail: Mail;
  readonly network: Network;
  readonly sites: readonly Site[];
  /** When something that a host sends now is with another, after so many ways between them. */
  readonly reachesMs: (host: SimHost, other: number, ways?: number) => Millis;
}

export class Connections {
  readonly #deps: ConnectionsDeps;

  constructor(deps: ConnectionsDeps) {
    this.#deps = deps;
  }

  dial(host: SimHost, other: number): void {
    const { links, mail, reachesMs } = this.#deps;
    const { index, life } = host;
    const link = links.next();
    links.add(link, index, other);
    host.dialing.add(other);
    const knocksMs = reachesMs(host, other, waysBeforeLast);
    mail.post(knocksMs, kinds.knock, other, link, index, life);
  }

  /** A dial arrives; it is answered before anything is said on the link. */
  knocked(host: SimHost, link: number, dialer: number, life: number): void {
    const { links, mail, reachesMs } = this.#deps;
    const { index } = host;
    const soonMs = reachesMs(host, dialer);
    // Of two that dial each other, the first one's dial is the one.
    const isCrossed = host.dialing.has(dialer) && index < dialer;
    if (!host.isAlive || isCrossed || this.#areLinked(host, dialer)) {
      return mail.post(soonMs, kinds.unwelcome, dialer, link, index, life);
    }
    links.add(link, dialer, index);
    mail.post(soonMs, kinds.welcome, dialer, link, index, life);
    return this.#attach(host, link, dialer);
  }

  welcomed(host: SimHost, link: number, dialed: number, life: number): void {
    if (host.life === life && !this.#areLinked(host, dialed)) {
      host.dialing.delete(dialed);
      return this.#attach(host, link, dialed);
    }
    const { mail, reachesMs } = this.#deps;
    mail.post(reachesMs(host, dialed), kinds.lost, dialed, link);
    return this.refused(host, dialed, life);
  }

  refused(host: SimHost, dialed: number, life: number): void {
    if (host.life !== life) return;
    host.dialing.delete(dialed);
    host.tell({ type: "dialFailed", peer: this.#siteOf(dialed).known.peerId });
  }

  close(host: SimHost, link: number): void {
    const { links, mail, reachesMs } = this.#deps;
    this.#forget(host, link);
    const other = links.otherEnd(link, host.index);
    mail.post(reachesMs(host, other), kinds.lost, other, link);
  }

  /** The other end is closed, or dead. */
  lose(host: SimHost, link: number): void {
    if (!host.links.has(link)) return;
    this.#forget(host, link);
    host.tell({ type: "linkClosed", link });
  }

  #attach(host: SimHost, link: number, other: number): void {
    host.links.add(link);
    this.#deps.links.open(link, host.index);
    host.tell({ type: "linkOpened", link, peer: this.#siteOf(other).known });
    if (!host.links.has(link)) return;
    host.tell({ type: "permissionChanged", link, artifact: slot, allowed: true });
  }

  #areLinked(host: SimHost, other: number): boolean {
    const { links } = this.#deps;
    for (const link of host.links) if (links.otherEnd(link, host.index) === other) return true;
    return false;
  }

  #forget(host: SimHost, link: number): void {
    const { links, network } = this.#deps;
    host.links.delete(link);
    links.close(link, host.index);
    network.cut(host.index, link);
  }

  #siteOf(host: number): Site {
    return this.#deps.sites[host] as Site;
  }
}
