// What all parts of the scheduler work on. No decisions here, but for which links are looked at again.
import type { Prng } from "../prng.ts";
import type { Bytes, Millis } from "../units.ts";
import type { Artifact } from "./artifact.ts";
import type { SwarmConfig } from "./config.ts";
import type { ArtifactSlot } from "./events.ts";
import { LinkNumbers } from "./link-numbers.ts";
import { Links } from "./links.ts";
import type { SwarmLogEvent } from "./log-events.ts";
import type { Outputs } from "./outputs.ts";
import type { Link, Peer } from "./peers.ts";
import { RequestTable } from "./requests.ts";
import { Timers } from "./timers.ts";

export class SwarmState {
  readonly config: SwarmConfig;
  /** For ties between peers; each artifact has a generator of its own. */
  readonly prng: Prng;
  readonly links: Links = new Links();
  readonly linkNumbers: LinkNumbers = new LinkNumbers();
  readonly artifacts: Map<ArtifactSlot, Artifact> = new Map();
  readonly requests: RequestTable = new RequestTable();
  readonly outputs: Outputs;
  readonly timers: Timers = new Timers();
  /** Links that may be asked for more; drained at the end of each `handle`. */
  readonly dirty: Link[] = [];
  /** Asked for and not yet stored, over all links: what the driver may have to hold in memory. */
  bytesOpen: Bytes = 0;
  /** Some link could be asked for more if there were room. */
  hasStarved = false;
  /** The last chunk, or request, or artifact joined: whoever waits longer asks also who doesn't invite. */
  fedMs: Millis = 0;

  constructor(config: SwarmConfig, prng: Prng, outputs: Outputs) {
    this.config = config;
    this.prng = prng;
    this.outputs = outputs;
  }

  touch(link: Link): void {
    if (link.isDirty) return;
    link.isDirty = true;
    this.dirty.push(link);
  }

  /** What a peer offers, or what is wanted of it, may have changed. */
  wake(peer: Peer): void {
    peer.isExhausted = false;
    this.touch(peer.link);
  }

  wakeAll(artifact: Artifact): void {
    for (const peer of artifact.peers) this.wake(peer);
  }

  touchAll(): void {
    for (const link of this.links.all) this.touch(link);
  }

  log(event: SwarmLogEvent): void {
    this.outputs.push({ type: "log", event });
  }

  logStall(link: Link, requests: number, at: Millis): void {
    this.log({ type: "requestsStalled", at, peer: link.known.peerId, requests });
  }
}
