// The home region's seeder, which takes what builders publish. Looked up at most every so often: every
// lease and every heartbeat names it.
import { ShoalError } from "@shoal/core/error";
import { homeSeederKnownMs } from "@shoal/core/limits";
import type { Queries } from "../db/connection.ts";
import { homeRegion } from "../db/regions.ts";
import { seedersOf } from "../db/seeders.ts";

export interface SeederAddress {
  readonly region: string;
  readonly url: string;
  readonly peerId: string;
}

export class HomeSeeder {
  readonly #database: Queries;
  #known: { readonly seeder: SeederAddress; readonly untilMs: number } | null = null;

  constructor(database: Queries) {
    this.#database = database;
  }

  /** Throws `home_seeder_missing`; that nobody is there isn't remembered. */
  async find(): Promise<SeederAddress> {
    if (this.#known !== null && this.#known.untilMs > performance.now()) return this.#known.seeder;
    const region = await homeRegion(this.#database);
    const [found] = region === null ? [] : await seedersOf(this.#database, region);
    if (region === null || found === undefined) throw missing(region);
    const seeder = { region, url: found.url, peerId: found.peerId };
    this.#known = { seeder, untilMs: performance.now() + homeSeederKnownMs };
    return seeder;
  }

  /** The home region, also while no seeder of it is there. */
  async region(): Promise<string> {
    if (this.#known !== null && this.#known.untilMs > performance.now()) {
      return this.#known.seeder.region;
    }
    return (await homeRegion(this.#database)) ?? "none";
  }
}

function missing(region: string | null): ShoalError {
  const message =
    region === null
      ? "No region is the home region."
      : `No seeder of the home region ${region} has registered.`;
  return new ShoalError("home_seeder_missing", message, {
    blame: "environment",
    retryable: true,
    hint: "Builds wait until their artifacts have a place to go.",
  });
}
