// Watches one artifact spread over a fleet, by the agents' own event files: who has which piece, who is
// done and when. Asks no process, so it sees the same whether or not seeder and control plane live.
import { setTimeout as sleep } from "node:timers/promises";
import type { SwarmEventLine } from "./event-tail.ts";
import type { FleetHost } from "./swarm-fleet.ts";

export interface HostSpread {
  readonly host: FleetHost;
  readonly pieces: Set<number>;
  /** Wall clock, the first time. */
  joinedAt: number | undefined;
  /** When it asked somebody for a piece. */
  requestedAt: number | undefined;
  completedAt: number | undefined;
  /** Links opened, dials that failed, links that were dropped for a reason other than idleness. */
  links: number;
  dialsFailed: number;
  readonly drops: Map<string, number>;
}

/** Events say themselves when they were; looking at twelve files twenty times a second took a seventieth of two cores. */
const pollMs = 200;

export class SwarmWatch {
  readonly hosts: readonly HostSpread[];
  /** Pieces of the artifact; infinite until the first host has joined. */
  piecesCount = Infinity;
  readonly #artifact: string;

  constructor(hosts: readonly FleetHost[], artifact: string) {
    this.#artifact = artifact;
    this.hosts = hosts.map((host) => ({
      ...{
        host,
        pieces: new Set<number>(),
        joinedAt: undefined,
        requestedAt: undefined,
        completedAt: undefined,
      },
      ...{ links: 0, dialsFailed: 0, drops: new Map<string, number>() },
    }));
  }

  get doneCount(): number {
    return this.hosts.filter(({ completedAt }) => completedAt !== undefined).length;
  }

  /** Pieces that at least one host has. */
  get piecesOut(): number {
    return this.hosts.reduce((all, { pieces }) => all.union(pieces), new Set<number>()).size;
  }

  /** Of 1: what all hosts together have of what they are to get, by pieces. */
  get share(): number {
    const have = this.hosts.reduce((sum, { pieces }) => sum + pieces.size, 0);
    return have / (this.piecesCount * this.hosts.length);
  }

  /** Looks until `isOver` says so; resolves false when time is over first. */
  async until(isOver: () => boolean | Promise<boolean>, timeoutMs: number): Promise<boolean> {
    const untilMs = performance.now() + timeoutMs;
    for (;;) {
      await this.look();
      if (await isOver()) return true;
      if (performance.now() > untilMs) return false;
      await sleep(pollMs);
    }
  }

  async look(): Promise<void> {
    for (const spread of this.hosts) {
      for (const event of await spread.host.events.read()) this.#note(spread, event);
    }
  }

  #note(spread: HostSpread, event: SwarmEventLine): void {
    const { type, artifact, piece, time } = event;
    if (type === "linkOpened") spread.links += 1;
    if (type === "dialFailed") spread.dialsFailed += 1;
    if (type === "peerDropped") {
      const reason = String(event["reason"]);
      spread.drops.set(reason, (spread.drops.get(reason) ?? 0) + 1);
    }
    if (artifact !== this.#artifact) return;
    if (type === "joined") {
      spread.joinedAt ??= Date.parse(time);
      this.piecesCount = event.piecesCount ?? this.piecesCount;
    }
    if (type === "pieceRequested") spread.requestedAt ??= Date.parse(time);
    if (type === "completed") spread.completedAt ??= Date.parse(time);
    if (type === "pieceStored" && piece !== undefined) spread.pieces.add(piece);
  }
}

/** Of ascending values; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  return values[Math.min(values.length - 1, Math.floor(share * values.length))] ?? Number.NaN;
}
