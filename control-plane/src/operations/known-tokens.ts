// Owners of people's tokens, remembered for a moment. That a token isn't known is never remembered, so that
// a new one works at once.
import { tokenKnownMs, tokensKnownMax } from "@shoal/core/limits";
import type { Queries } from "../db/connection.ts";
import { type Person, findPerson } from "../db/people.ts";

export class KnownTokens {
  readonly #database: Queries;
  readonly #known = new Map<string, { readonly owner: Person; readonly untilMs: number }>();

  constructor(database: Queries) {
    this.#database = database;
  }

  /** The owner of the token with this SHA-256; null when there is none. */
  async find(hash: Uint8Array): Promise<Person | null> {
    const key = Buffer.from(hash).toString("base64");
    const known = this.#known.get(key);
    if (known !== undefined && known.untilMs > performance.now()) return known.owner;
    const owner = await findPerson(this.#database, hash);
    if (owner === null) return null;
    if (this.#known.size >= tokensKnownMax) this.#known.clear();
    this.#known.set(key, { owner, untilMs: performance.now() + tokenKnownMs });
    return owner;
  }

  /** A token was taken back: all are looked up again. Other control planes hear of it a moment later. */
  forget(): void {
    this.#known.clear();
  }
}
