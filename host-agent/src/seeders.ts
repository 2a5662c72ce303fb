// The region's seeders as one: a call goes to the one that answered last, and to the next when it
// fails. Every answer of goals brings the newest list; the configured ones are never forgotten.
import { createSeederClient, type SeederClient } from "@shoal/api/seeder-client";
import { ShoalError } from "@shoal/core/error";
import type { PeerId } from "@shoal/core/ids";
import { seedersKnownMax } from "@shoal/core/limits";
import type { Certificate } from "@shoal/trust/certificate";
import { createPinnedFetch, type PinnedFetch } from "@shoal/trust/pinned-fetch";

export interface SeederAddress {
  readonly url: string;
  readonly peerId: PeerId;
}

interface KnownSeeder extends SeederAddress {
  readonly isConfigured: boolean;
  readonly fetch: PinnedFetch;
  readonly client: SeederClient;
}

export interface SeedersDeps {
  readonly certificate: Certificate;
  /** Empty before the host has joined. */
  readonly passport: () => string;
}

export class Seeders {
  readonly #deps: SeedersDeps;
  /** The one to ask first is in front. */
  #known: KnownSeeder[] = [];

  constructor(deps: SeedersDeps, configured: readonly SeederAddress[]) {
    this.#deps = deps;
    for (const seeder of configured) this.#add(seeder, true);
  }

  /** Replaces what an earlier answer named, but not what the configuration did. */
  learn(addresses: readonly SeederAddress[]): void {
    for (const seeder of this.#known) {
      if (seeder.isConfigured || addresses.some((address) => isSame(seeder, address))) continue;
      this.#known = this.#known.filter((other) => other !== seeder);
      void seeder.fetch.close();
    }
    for (const address of addresses) this.#add(address, false);
  }

  addresses(): readonly SeederAddress[] {
    return this.#known.map(({ url, peerId }) => ({ url, peerId }));
  }

  /**
   * Makes a call to one seeder after another until one succeeds. Each is asked, whatever the last one
   * said: it may have lied, or know less than the others.
   */
  async ask<Answer>(
    call: (client: SeederClient) => Promise<Answer>,
    signal: AbortSignal,
  ): Promise<Answer> {
    const failures: unknown[] = [];
    for (const seeder of [...this.#known]) {
      try {
        const answer = await call(seeder.client);
        // Another call may have changed the list meanwhile.
        if (this.#known.includes(seeder))
          this.#known = [seeder, ...this.#known.filter((other) => other !== seeder)];
        return answer;
      } catch (error) {
        signal.throwIfAborted();
        failures.push(error);
      }
    }
    // What a seeder had to say tells more than that another wasn't there.
    throw failures.find(isRefusal) ?? failures[0];
  }

  async close(): Promise<void> {
    await Promise.all(this.#known.map((seeder) => seeder.fetch.close()));
  }

  #add(address: SeederAddress, isConfigured: boolean): void {
    if (this.#known.some((seeder) => isSame(seeder, address))) return;
    if (this.#known.length >= seedersKnownMax) return;
    const { url, peerId } = address;
    const { certificate, passport } = this.#deps;
    const fetch = createPinnedFetch({ peerId, certificate });
    const client = createSeederClient({ url, fetch, token: passport });
    this.#known.push({ url, peerId, isConfigured, fetch, client });
  }
}

function isSame(a: SeederAddress, b: SeederAddress): boolean {
  return a.url === b.url && a.peerId === b.peerId;
}

function isRefusal(error: unknown): boolean {
  return error instanceof ShoalError && error.blame === "remote";
}
