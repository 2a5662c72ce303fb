// Who this seeder is to its region: its leave to issue passports to hosts, and the region's other seeders.
// Kept on disk, so that a restart works while the control plane is down.
import type { Client } from "@shoal/api/client";
import { name } from "@shoal/api/names";
import { plan, type Plan } from "@shoal/api/seeder";
import { ShoalError } from "@shoal/core/error";
import { tokenBytesMax } from "@shoal/core/limits";
import type { StateFile } from "@shoal/daemon/atomic-file";
import type { Log } from "@shoal/daemon/log";
import { z } from "zod";

const membershipFile = z.strictObject({
  format: z.literal("shoal.seeder-membership/v2"),
  region: name,
  delegation: z.string().max(tokenBytesMax),
  seeders: plan.shape.seeders,
});

type Seeders = Plan["seeders"];

/** What can't be answered before the control plane, or the disk, has said who this seeder is. */
export function seederStarting(): ShoalError {
  return new ShoalError("seeder_starting", "This seeder doesn't know its region yet.", {
    blame: "environment",
    retryable: true,
  });
}

export class RegionMembership {
  readonly #file: StateFile;
  readonly #log: Pick<Log, "warn">;
  #region: string | null = null;
  #delegation = "";
  #seeders: Seeders = [];

  constructor(deps: { readonly file: StateFile; readonly log: Pick<Log, "warn"> }) {
    this.#file = deps.file;
    this.#log = deps.log;
  }

  region(): string | null {
    return this.#region;
  }

  /** Leave to issue passports to hosts; null until the control plane has given it. */
  delegation(): string | null {
    return this.#delegation === "" ? null : this.#delegation;
  }

  /** The region's seeders, this one included; the same list as long as nothing in it changes. */
  seeders(): Seeders {
    return this.#seeders;
  }

  async load(): Promise<void> {
    const bytes = await this.#file.read();
    if (bytes === undefined) return;
    try {
      const known = membershipFile.parse(JSON.parse(new TextDecoder().decode(bytes)));
      this.#region = known.region;
      this.#delegation = known.delegation;
      this.#seeders = known.seeders;
    } catch (error) {
      this.#log.warn({ error }, "what is on disk can't be read; waiting for the control plane");
    }
  }

  /** Tells the control plane where we are, and takes the delegation that it answers with. */
  async register(
    client: Client,
    facts: Parameters<Client["seeder"]["register"]>[0],
    signal: AbortSignal,
  ): Promise<void> {
    const answer = await client.seeder.register(facts, { signal });
    this.#region = answer.region;
    this.#delegation = answer.delegation;
    await this.#save();
  }

  /** Takes what a plan says. Answers whether it is something new. */
  async takeSeeders(seeders: Seeders): Promise<boolean> {
    if (JSON.stringify(seeders) === JSON.stringify(this.#seeders)) return false;
    this.#seeders = seeders;
    await this.#save();
    return true;
  }

  async #save(): Promise<void> {
    if (this.#region === null) return;
    const content: z.input<typeof membershipFile> = {
      format: "shoal.seeder-membership/v2",
      region: this.#region,
      delegation: this.#delegation,
      seeders: this.#seeders,
    };
    await this.#file.write(JSON.stringify(content));
  }
}
