// The home region's seeder, which takes what builders publish. Looked up at most every so often: every
// lease and every heartbeat names it. While calls come, the next look is over before the last one is too
// old, so that none of them waits for it.
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

interface Known {
  readonly seeder: SeederAddress;
  readonly lookedAtMs: number;
}

export class HomeSeeder {
  readonly #database: Queries;
  #known: Known | null = null;
  #looking: Promise<SeederAddress> | null = null;

  constructor(database: Queries) {
    this.#database = database;
  }

  /** Throws `home_seeder_missing`; that nobody is there isn't remembered. */
  async find(): Promise<SeederAddress> {
    return this.#fresh() ?? this.#look();
  }

  /** The home region, also while no seeder of it is there. */
  async region(): Promise<string> {
    return this.#fresh()?.region ?? (await homeRegion(this.#database)) ?? "none";
  }

  #fresh(): SeederAddress | null {
    if (this.#known === null) return null;
    const ageMs = performance.now() - this.#known.lookedAtMs;
    if (ageMs >= homeSeederKnownMs) return null;
    // Who finds it too old looks again and is told what is wrong.
    if (ageMs >= homeSeederKnownMs / 2) this.#look().catch(() => undefined);
    return this.#known.seeder;
  }

  /** One look for all who come while it is under way. */
  #look(): Promise<SeederAddress> {
    this.#looking ??= this.#read().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async #read(): Promise<SeederAddress> {
    const lookedAtMs = performance.now();
    const region = await homeRegion(this.#database);
    const [found] = region === null ? [] : await seedersOf(this.#database, region);
    if (region === null || found === undefined) throw missing(region);
    const seeder = { region, url: found.url, peerId: found.peerId };
    this.#known = { seeder, lookedAtMs };
    return seeder;
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
