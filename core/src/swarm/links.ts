// The open links of a node, by their numbers and in the order they were opened. A number is looked up
// with every fact: it leads to its place in a small array (or one of the next, when another is there),
// which is one look into memory where a Map takes several.
import type { LinkId } from "./events.ts";
import type { Link } from "./peers.ts";

const placesAtFirst = 16;

export class Links {
  /** At least half of it is empty. */
  #places: (Link | undefined)[] = empty(placesAtFirst);
  readonly #ordered: Link[] = [];
  /** By the places of their numbers. */
  readonly byPlace: (Link | undefined)[] = [];

  get size(): number {
    return this.#ordered.length;
  }

  get(id: LinkId): Link | undefined {
    const places = this.#places;
    const last = places.length - 1;
    let place = id & last;
    let link = places[place];
    while (link !== undefined && link.id !== id) {
      place = (place + 1) & last;
      link = places[place];
    }
    return link;
  }

  /** One whose number isn't there. */
  add(link: Link): void {
    this.#ordered.push(link);
    this.byPlace[link.place] = link;
    if (2 * this.#ordered.length > this.#places.length) this.#fill(2 * this.#places.length);
    else this.#put(link);
  }

  delete(link: Link): void {
    const at = this.#ordered.indexOf(link);
    if (at < 0) return;
    this.#ordered.splice(at, 1);
    this.byPlace[link.place] = undefined;
    // Those behind it may have been put there because its place was taken.
    this.#fill(this.#places.length);
  }

  /** Not to be changed while it is gone through. */
  get all(): readonly Link[] {
    return this.#ordered;
  }

  #fill(places: number): void {
    this.#places = empty(places);
    for (const link of this.#ordered) this.#put(link);
  }

  #put(link: Link): void {
    const last = this.#places.length - 1;
    let place = link.id & last;
    while (this.#places[place] !== undefined) place = (place + 1) & last;
    this.#places[place] = link;
  }
}

function empty(places: number): undefined[] {
  return Array<undefined>(places).fill(undefined);
}
