// Who hears of whom: what a seeder's table of members does, without its expiry. A host that announces
// itself is told of the seeders and of some members, most of them from its own zone.
import { peersHandedOutMax } from "@shoal/core/limits";
import type { Prng } from "@shoal/core/prng";
import type { KnownPeer } from "@shoal/core/wire/messages";
import type { SimHost } from "./sim-host.ts";

const nearShare = 0.75;

export class Introductions {
  readonly #prng: Prng;
  readonly #seeders: SimHost[] = [];
  readonly #members: SimHost[] = [];
  readonly #zones: Map<string, SimHost[]> = new Map();

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  announce(host: SimHost): readonly KnownPeer[] {
    const zone = this.#zones.get(host.known.zone) ?? [];
    this.#zones.set(host.known.zone, zone);
    const sample = new Set<SimHost>();
    this.#draw(zone, peersHandedOutMax * nearShare, host, sample);
    this.#draw(this.#members, peersHandedOutMax, host, sample);
    const isNew = !this.#members.includes(host) && !this.#seeders.includes(host);
    if (isNew && host.nature.isSeeder) this.#seeders.push(host);
    else if (isNew) for (const list of [this.#members, zone]) list.push(host);
    const seeders = this.#seeders.filter((seeder) => seeder.isAlive && seeder !== host);
    return [...seeders, ...sample].map(({ known }) => known);
  }

  remove(host: SimHost): void {
    for (const list of [this.#seeders, this.#members, ...this.#zones.values()]) {
      const place = list.indexOf(host);
      if (place >= 0) list.splice(place, 1);
    }
  }

  #draw(from: readonly SimHost[], want: number, asker: SimHost, into: Set<SimHost>): void {
    // Twice as many draws as wanted: enough in a crowd, and bounded in a small one.
    for (let draw = 0; draw < 2 * want && into.size < want && from.length > 0; draw += 1) {
      const drawn = from[this.#prng.below(from.length)];
      if (drawn !== undefined && drawn !== asker) into.add(drawn);
    }
  }
}
