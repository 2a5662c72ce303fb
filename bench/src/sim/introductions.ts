// Who hears of whom: what a seeder's table of members does, without its expiry. A host that announces
// itself is told of the seeders and of some members, most of them from its own zone.
import { peersHandedOutMax } from "@shoal/core/limits";
import type { Prng } from "@shoal/core/prng";
import type { KnownPeer } from "@shoal/core/wire/messages";
import type { Site } from "./sim-host.ts";

const nearShare = 0.75;

export class Introductions {
  readonly #prng: Prng;
  readonly #seeders: Site[] = [];
  readonly #members: Site[] = [];
  readonly #zones: Map<string, Site[]> = new Map();
  readonly #present: Set<Site> = new Set();

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  announce(site: Site): readonly KnownPeer[] {
    const zone = this.#zones.get(site.known.zone) ?? [];
    this.#zones.set(site.known.zone, zone);
    const sample = new Set<Site>();
    this.#draw(zone, peersHandedOutMax * nearShare, site, sample);
    this.#draw(this.#members, peersHandedOutMax, site, sample);
    if (!this.#present.has(site)) {
      this.#present.add(site);
      for (const list of site.nature.isSeeder ? [this.#seeders] : [this.#members, zone]) {
        list.push(site);
      }
    }
    const seeders = this.#seeders.filter((seeder) => seeder !== site);
    return [...seeders, ...sample].map(({ known }) => known);
  }

  remove(site: Site): void {
    if (!this.#present.delete(site)) return;
    for (const list of [this.#seeders, this.#members, ...this.#zones.values()]) {
      const place = list.indexOf(site);
      if (place >= 0) list.splice(place, 1);
    }
  }

  #draw(from: readonly Site[], want: number, asker: Site, into: Set<Site>): void {
    // Twice as many draws as wanted: enough in a crowd, and bounded in a small one.
    for (let draw = 0; draw < 2 * want && into.size < want && from.length > 0; draw += 1) {
      const drawn = from[this.#prng.below(from.length)];
      if (drawn !== undefined && drawn !== asker) into.add(drawn);
    }
  }
}
