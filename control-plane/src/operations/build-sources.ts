// Of what builds are: project and commit never change, so those of builds that were handed out here
// are remembered until their end asks for them. Bounded: forgetting one costs a question.
import { buildSourcesMax } from "@shoal/core/limits";
import { type BuildSource, findSource } from "../db/builds.ts";
import type { Queries } from "../db/connection.ts";

export class BuildSources {
  readonly #database: Queries;
  readonly #known = new Map<number, BuildSource>();

  constructor(database: Queries) {
    this.#database = database;
  }

  remember(build: number, { project, commit }: BuildSource): void {
    if (this.#known.size >= buildSourcesMax) this.#known.clear();
    this.#known.set(build, { project, commit });
  }

  /** Null when there is no such build. */
  async find(build: number): Promise<BuildSource | null> {
    return this.#known.get(build) ?? findSource(this.#database, build);
  }
}
