// One simulated machine: the real scheduler, and a driver that does in virtual time what lib/peer does
// with sockets. Decides nothing. A machine that dies and comes back is a new life with a new scheduler.
import { bitfieldOf, setBit } from "@shoal/core/swarm/bitfield";
import type { SwarmConfig } from "@shoal/core/swarm/config";
import type {
  ArtifactProgress,
  SwarmInput,
  SwarmOutput,
  UploadOrder,
} from "@shoal/core/swarm/events";
import type { Outputs } from "@shoal/core/swarm/outputs";
import type { SwarmLogEvent } from "@shoal/core/swarm/log-events";
import { Swarm } from "@shoal/core/swarm/swarm";
import type { PieceMap } from "@shoal/core/content/pieces";
import type { Prng } from "@shoal/core/prng";
import type { ChunkIndex, Millis } from "@shoal/core/units";
import type { KnownPeer } from "@shoal/core/wire/messages";

export const slot = 1;
export const artifactCid: string = `b${"a".repeat(58)}`;

/** What a machine's driver needs of the world around it. */
export interface HostWorld {
  readonly now: Millis;
  readonly pieces: PieceMap;
  readonly inspector: Inspector | undefined;
  readonly outputs: Outputs;
  readonly armTimer: (host: SimHost, at: Millis) => void;
  readonly dial: (host: SimHost, peerId: string) => void;
  readonly closeLink: (host: SimHost, link: number) => void;
  readonly store: (host: SimHost, link: number, chunk: ChunkIndex) => void;
  readonly upload: (host: SimHost, order: UploadOrder) => void;
  readonly stopUpload: (host: SimHost, link: number, request: number) => void;
  readonly say: (host: SimHost, output: SaidOutput) => void;
  readonly completed: (host: SimHost) => void;
  readonly log: (host: SimHost, event: SwarmLogEvent) => void;
}

/** Is shown every fact and every order of a world's hosts; see checker.ts. */
export interface Inspector {
  readonly before: (host: SimHost, input: SwarmInput) => void;
  readonly after: (host: SimHost, input: SwarmInput) => void;
  readonly ordered: (host: SimHost, output: SwarmOutput, config: SwarmConfig) => void;
  readonly died: (host: SimHost) => void;
}

export type SaidOutput = Extract<
  SwarmOutput,
  { type: "join" | "leave" | "bitfield" | "haves" | "peers" | "request" | "cancel" | "reject" }
>;

export interface Nature {
  readonly isSeeder: boolean;
  readonly isSlow: boolean;
  readonly isLying: boolean;
  readonly isSilent: boolean;
}

/** What everybody knows of a machine, wherever it is simulated. */
export interface Site {
  readonly index: number;
  readonly known: KnownPeer;
  readonly nature: Nature;
}

export class SimHost implements Site {
  readonly index: number;
  readonly known: KnownPeer;
  readonly nature: Nature;
  readonly #world: HostWorld;
  readonly #config: SwarmConfig;
  #swarm: Swarm;
  /** Peers that it dials, by their place in the world. */
  readonly dialing: Set<number> = new Set();
  /** Links that are open on this side. */
  readonly links: Set<number> = new Set();
  /** Chunks it has on its disk. */
  readonly held: Uint8Array;
  #timerMs: Millis = Infinity;
  isAlive = false;
  /** Rises with each death: events of an earlier life are known by it. */
  life = 0;
  joinedMs: Millis | undefined;
  completeMs: Millis | undefined;
  diskFreeMs: Millis = 0;
  /** Announcements since it joined. */
  announced = 0;

  constructor(world: HostWorld, { index, known, nature }: Site, config: SwarmConfig, prng: Prng) {
    this.#world = world;
    this.index = index;
    this.known = known;
    this.nature = nature;
    this.#config = config;
    this.#swarm = new Swarm(config, prng, world.outputs);
    this.held = bitfieldOf(world.pieces.chunksCount);
  }

  get progress(): ArtifactProgress | undefined {
    return this.#swarm.progress(slot, this.#world.now);
  }

  /** Begins, or begins again with what is on the disk. */
  join(): void {
    this.isAlive = true;
    this.joinedMs ??= this.#world.now;
    const { pieces } = this.#world;
    const held = this.held.slice();
    const cid = artifactCid;
    this.tell({ type: "artifactJoined", artifact: slot, cid, pieces, held, priority: 0 });
  }

  /** Its disk is empty. Only while it is dead. */
  wipe(): void {
    this.held.fill(0);
  }

  die(prng: Prng): void {
    this.isAlive = false;
    this.life += 1;
    this.links.clear();
    this.dialing.clear();
    this.completeMs = undefined;
    this.announced = 0;
    this.#timerMs = Infinity;
    this.#swarm = new Swarm(this.#config, prng, this.#world.outputs);
    this.#world.inspector?.died(this);
  }

  /** Notes that a chunk is on the disk. */
  hold(chunk: ChunkIndex): void {
    setBit(this.held, chunk);
  }

  /** One input, and all orders that follow. */
  tell(input: SwarmInput): void {
    const swarm = this.#swarm;
    const { inspector } = this.#world;
    inspector?.before(this, input);
    swarm.handle(input, this.#world.now);
    for (let out = swarm.poll(); out !== undefined; out = swarm.poll()) {
      inspector?.ordered(this, out, this.#config);
      this.#perform(out);
    }
    inspector?.after(this, input);
    const dueMs = swarm.nextDeadline();
    if (dueMs === undefined || dueMs >= this.#timerMs) return;
    this.#timerMs = Math.max(dueMs, this.#world.now);
    this.#world.armTimer(this, this.#timerMs);
  }

  /** The timer's event; those that were overtaken say nothing. */
  onTimer(at: Millis): void {
    if (this.#timerMs !== at) return;
    this.#timerMs = Infinity;
    this.tell({ type: "deadline" });
  }

  #perform(output: SwarmOutput): void {
    const world = this.#world;
    switch (output.type) {
      case "log":
        return world.log(this, output.event);
      case "discard":
        return undefined;
      case "complete":
        this.completeMs = world.now;
        return world.completed(this);
      case "dial":
        return world.dial(this, output.peer);
      case "drop":
        return world.closeLink(this, output.link);
      case "accept":
        return world.store(this, output.link, output.chunk);
      case "upload":
        return this.nature.isSilent ? undefined : world.upload(this, output);
      case "stopUpload":
        return world.stopUpload(this, output.link, output.request);
      default:
        return world.say(this, output);
    }
  }
}
