// Who is in the swarm of which artifact, and a sample of them for who asks: peers of the same zone
// first. Soft state: members announce themselves again, and after a restart of ours within a beat.
// An announce costs as much as the sample that it asks for, however many members there are.
import type { ArtifactCid, PeerId } from "@shoal/core/ids";
import { announceMs, membersPerArtifactMax, peersHandedOutMax } from "@shoal/core/limits";
import type { Prng } from "@shoal/core/prng";

export interface Member {
  readonly peerId: PeerId;
  readonly swarmAddresses: readonly string[];
  readonly zone: string;
  /** Of 1: what it said it has. */
  readonly share: number;
}

interface Entry extends Member {
  readonly expiresAtMs: number;
}

/** Of the peers handed out, the share that is taken from other zones, so that zones never part. */
const farShare = 0.25;

export class MemberTable {
  readonly #swarms: Map<ArtifactCid, Swarm> = new Map();
  readonly #prng: Prng;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  announce(cid: ArtifactCid, member: Member, nowMs: number): void {
    const swarm = this.#swarms.get(cid) ?? new Swarm();
    this.#swarms.set(cid, swarm);
    swarm.add({ ...member, expiresAtMs: nowMs + 3 * announceMs });
    swarm.trim(nowMs);
  }

  /** Up to `want` other members, most of them of the same zone where there are any. */
  sample(
    cid: ArtifactCid,
    asker: { readonly peerId: PeerId; readonly zone: string },
    want: number,
  ): readonly Member[] {
    const count = Math.min(want, peersHandedOutMax);
    const swarm = this.#swarms.get(cid);
    if (swarm === undefined || count === 0) return [];
    const near = swarm.draw([asker.zone], asker.peerId, count, this.#prng);
    const otherZones = swarm.zones().filter((zone) => zone !== asker.zone);
    const far = swarm.draw(otherZones, asker.peerId, count, this.#prng);
    const farCount = Math.min(
      far.length,
      Math.max(Math.round(count * farShare), count - near.length),
    );
    return [...near.slice(0, count - farCount), ...far.slice(0, farCount)];
  }

  /** When to announce again: jittered, so that a fleet that started at once doesn't stay in step. */
  nextAnnounceMs(): number {
    return Math.round(announceMs * (0.75 + this.#prng.next() / 2));
  }

  /** Forgets members that fell silent, and swarms without any. */
  expire(nowMs: number): void {
    for (const [cid, swarm] of this.#swarms) {
      swarm.trim(nowMs);
      if (swarm.zones().length === 0) this.#swarms.delete(cid);
    }
  }
}

/** The members of one artifact. Invariant: a member is in the list of its zone, at `place`. */
class Swarm {
  /** In the order of their last announce: the first is the oldest. */
  readonly #members: Map<PeerId, { readonly entry: Entry; place: number }> = new Map();
  readonly #zones: Map<string, Entry[]> = new Map();

  zones(): readonly string[] {
    return [...this.#zones.keys()];
  }

  add(entry: Entry): void {
    this.#remove(entry.peerId);
    const list = this.#zones.get(entry.zone) ?? [];
    this.#zones.set(entry.zone, list);
    this.#members.set(entry.peerId, { entry, place: list.length });
    list.push(entry);
  }

  /** Drops who is silent, and the oldest beyond the limit. */
  trim(nowMs: number): void {
    for (const [peerId, { entry }] of this.#members) {
      if (entry.expiresAtMs > nowMs && this.#members.size <= membersPerArtifactMax) return;
      this.#remove(peerId);
    }
  }

  /** Up to `count` different members of the zones but the asker, each set as likely as any other. */
  draw(zones: readonly string[], asker: PeerId, count: number, prng: Prng): readonly Entry[] {
    const lists = zones.map((zone) => this.#zones.get(zone) ?? []);
    const total = lists.reduce((sum, list) => sum + list.length, 0);
    // One more than wanted, in case the asker is among them. Floyd's algorithm (Bentley, CACM 30:9).
    const drawn = Math.min(count + 1, total);
    const places = new Set<number>();
    for (let last = total - drawn; last < total; last += 1) {
      const place = prng.below(last + 1);
      places.add(places.has(place) ? last : place);
    }
    // Floyd's choice is random, its order isn't: what is drawn late has larger places.
    const entries = [...places].flatMap((place) => memberAt(lists, place) ?? []);
    for (let index = entries.length - 1; index > 0; index -= 1) {
      const other = prng.below(index + 1);
      const [a, b] = [entries[index], entries[other]];
      if (a !== undefined && b !== undefined) [entries[index], entries[other]] = [b, a];
    }
    return entries.filter(({ peerId }) => peerId !== asker).slice(0, count);
  }

  #remove(peerId: PeerId): void {
    const known = this.#members.get(peerId);
    if (known === undefined) return;
    this.#members.delete(peerId);
    const list = this.#zones.get(known.entry.zone) ?? [];
    const last = list.pop();
    if (last !== undefined && last.peerId !== peerId) {
      list[known.place] = last;
      const moved = this.#members.get(last.peerId);
      if (moved !== undefined) moved.place = known.place;
    }
    if (list.length === 0) this.#zones.delete(known.entry.zone);
  }
}

function memberAt(lists: readonly (readonly Entry[])[], place: number): Entry | undefined {
  let left = place;
  for (const list of lists) {
    if (left < list.length) return list[left];
    left -= list.length;
  }
  return undefined;
}
