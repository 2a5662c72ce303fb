// Builders that build nothing: each claims, beats once and publishes, over HTTP, like a real one, until
// the signal ends it. One that is told to die forgets what it holds, and tries its old fence later.
import { type Client, createClient } from "@shoal/api/client";
import { cidOf } from "@shoal/core/cid";
import { ShoalError } from "@shoal/core/error";
import type { KeyFile } from "@shoal/trust/key-file";
import { signStatement } from "@shoal/trust/statement";
import { setTimeout as sleep } from "node:timers/promises";
import { leanFetch } from "./lean-fetch.ts";
import type { Ledger, Told } from "./ledger.ts";

export interface HttpBuilderOptions {
  readonly name: string;
  readonly token: () => string;
  /** Control planes; a call that fails goes to the next one. */
  readonly urls: () => readonly string[];
  readonly key: KeyFile;
  readonly ledger: Ledger;
  readonly signal: AbortSignal;
}

type Lease = NonNullable<Awaited<ReturnType<Client["builder"]["lease"]>>["lease"]>;

export class HttpBuilder {
  readonly #options: HttpBuilderOptions;
  readonly #clients = new Map<string, Client["builder"]>();
  readonly #fetch = leanFetch();
  #turn = 0;
  #dies = false;
  /** Leases that this builder forgot when it died. */
  readonly #forgotten: Lease[] = [];

  constructor(options: HttpBuilderOptions) {
    this.#options = options;
  }

  /** Forgets the build at hand, as a kill would, and starts again. */
  die(): void {
    this.#dies = true;
  }

  async run(): Promise<void> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      try {
        await this.#buildOne();
      } catch {
        this.#options.ledger.failedCalls += 1;
        this.#turn += 1;
        await sleep(20 + Math.random() * 80);
      }
    }
  }

  async #buildOne(): Promise<void> {
    const { name, ledger, signal } = this.#options;
    await this.#tryForgotten();
    const client = this.#client();
    const startMs = performance.now();
    const { lease } = await client.lease({ builder: name, waitMs: 1000 }, { signal });
    if (lease === null) return;
    ledger.claimMs.push(performance.now() - startMs);
    const { build, fence } = lease;
    await client.heartbeat(build, { fence }, { signal });
    if (this.#dies) {
      this.#dies = false;
      this.#forgotten.push(lease);
      return;
    }
    await this.#publish(lease);
  }

  /** Tries until the end is told or the lease is known to be lost, as a real builder does. */
  async #publish(lease: Lease): Promise<void> {
    const { ledger, signal } = this.#options;
    const body = { fence: lease.fence, ...this.#publication(lease) };
    for (let attempt = 0; attempt < 200 && !signal.aborted; attempt += 1) {
      try {
        await this.#client().publish(lease.build, body, { signal });
        ledger.noteEnd(lease);
        return;
      } catch (error) {
        ledger.failedCalls += 1;
        if (error instanceof ShoalError && !error.retryable) return;
        this.#turn += 1;
        await sleep(50 + Math.random() * 100);
      }
    }
  }

  /** An end with a fence whose lease was given up: it has to be refused. */
  async #tryForgotten(): Promise<void> {
    const { ledger, signal, name } = this.#options;
    const lease = this.#forgotten[0];
    if (lease === undefined) return;
    // Asking for work gives the old lease up: only then is it stale for certain.
    const next = await this.#client().lease({ builder: name, waitMs: 0 }, { signal });
    this.#forgotten.shift();
    const told: Told = lease;
    ledger.staleTried += 1;
    try {
      await this.#client().publish(lease.build, {
        fence: lease.fence,
        ...this.#publication(lease),
      });
      ledger.noteEnd(told);
    } catch (error) {
      if (error instanceof ShoalError && error.code === "fence_stale") ledger.staleRefused += 1;
      else ledger.staleTried -= 1;
    }
    if (next.lease !== null) await this.#publish(next.lease);
  }

  #publication(lease: Lease) {
    const artifact = cidOf(new TextEncoder().encode(lease.commit));
    const statement = signStatement(this.#options.key, {
      project: lease.project,
      commit: lease.commit,
      artifact,
      remoteUrl: lease.remoteUrl,
      buildCommand: lease.buildCommand,
      artifactPath: lease.artifactPath,
      builder: this.#options.name,
      build: lease.build,
      attempt: lease.attempt,
      startedAtMs: 0,
      finishedAtMs: 1,
    });
    return { artifact, artifactBytes: 1000, bytesUploaded: 1000, statement };
  }

  #client(): Client["builder"] {
    const urls = this.#options.urls();
    this.#options.ledger.calls += 1;
    const url = urls[this.#turn % urls.length] ?? "";
    const client =
      this.#clients.get(url) ??
      createClient({ url, token: this.#options.token, fetch: this.#fetch }).builder;
    this.#clients.set(url, client);
    return client;
  }
}
