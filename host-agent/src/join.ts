// The host's passport: got with a join token, kept on disk, and renewed by showing it, long before it
// ends, so that an outage of everybody who could renew it locks nobody out. The token is needed again
// only when the passport has ended, or the host is configured to be something else.
import { ShoalError } from "@shoal/core/error";
import type { HostId, PeerId } from "@shoal/core/ids";
import { passportRenewMs, passportRetryMs, tokenBytesMax } from "@shoal/core/limits";
import type { StateFile } from "@shoal/daemon/atomic-file";
import type { Log } from "@shoal/daemon/log";
import {
  readOwnPassport,
  verifyPassport,
  type Passport,
  type PassportFacts,
} from "@shoal/trust/passport";
import type { SeederClient } from "@shoal/api/seeder-client";
import type { TrustDocument } from "@shoal/trust/trust-document";
import type { TrustKeeper } from "@shoal/trust/trust-keeper";
import { z } from "zod";
import type { Seeders } from "./seeders.ts";

export interface PassportKeeperDeps {
  readonly file: StateFile;
  readonly seeders: () => Pick<Seeders, "ask">;
  readonly trust: Pick<TrustKeeper, "document" | "isRevoked" | "take">;
  readonly now: () => number;
  /** For spreading renewals: hosts that joined together don't renew together. */
  readonly random: () => number;
  readonly log: Log;
}

export interface PassportKeeperConfig {
  readonly peerId: PeerId;
  readonly hostId: HostId;
  readonly region: string;
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly joinToken?: string | undefined;
}

const passportFile = z.strictObject({
  format: z.literal("shoal.host-passport/v1"),
  passport: z.string().max(tokenBytesMax),
});

interface KeptPassport {
  readonly text: string;
  readonly facts: Passport;
}

export class PassportKeeper {
  readonly #deps: PassportKeeperDeps;
  readonly #config: PassportKeeperConfig;
  readonly #renewBeforeMs: number;
  #passport: KeptPassport | null = null;
  /** What the passport was judged by last. */
  #judgedBy: TrustDocument | null = null;
  #renewedAtMs = Number.NEGATIVE_INFINITY;
  #ensuring: Promise<boolean> | null = null;

  constructor(deps: PassportKeeperDeps, config: PassportKeeperConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#renewBeforeMs = passportRenewMs * (0.8 + 0.4 * deps.random());
  }

  /** Empty before the host has joined. */
  text(): string {
    return this.#passport?.text ?? "";
  }

  /** The passport. Throws `passport_missing` before the host has joined. */
  present(): string {
    if (this.#passport !== null) return this.#passport.text;
    throw new ShoalError("passport_missing", "This host hasn't joined yet.", {
      blame: "environment",
      retryable: true,
    });
  }

  /** Null before the host has joined. The passport may have ended since. */
  facts(): Passport | null {
    return this.#passport?.facts ?? null;
  }

  /**
   * Reads what an earlier life of the agent had. One that is of no use any more still says which goals are
   * ours; one that can't be read is as good as none.
   */
  async load(): Promise<void> {
    const { file, log } = this.#deps;
    try {
      const bytes = await file.read();
      if (bytes === undefined) return;
      const { passport } = passportFile.parse(JSON.parse(new TextDecoder().decode(bytes)));
      this.#passport = await this.#verified(passport).catch((error: unknown) => {
        log.warn({ error }, "the passport on disk is of no use any more; joining anew");
        const facts = this.#requireOurs(readOwnPassport(passport));
        return { text: passport, facts: { ...facts, issuer: null, expiresAtMs: 0 } };
      });
    } catch (error) {
      log.warn({ error }, "the passport on disk can't be read; joining anew");
    }
  }

  /**
   * Joins, or renews when it is time; answers whether it did. Throws `join_token_missing` when there is
   * nothing to join with, or what the seeders answered. Calls at once share one try: tokens are counted.
   */
  ensure(signal: AbortSignal): Promise<boolean> {
    this.#ensuring ??= this.#ensure(signal).finally(() => {
      this.#ensuring = null;
    });
    return this.#ensuring;
  }

  async #ensure(signal: AbortSignal): Promise<boolean> {
    const { now, seeders, file, log, trust } = this.#deps;
    const { joinToken, hostId } = this.#config;
    await this.#judgeAgain();
    const leftMs = (this.#passport?.facts.expiresAtMs ?? 0) - now();
    // A passport that was short from the start isn't renewed again and again.
    const isFresh = now() - this.#renewedAtMs < passportRetryMs && leftMs > 0;
    if (leftMs > this.#renewBeforeMs || isFresh) return false;
    const isAlive = leftMs > 0;
    if (joinToken === undefined && !isAlive) throw joinTokenMissing();
    this.#passport = await seeders().ask(async (client) => {
      // Whose key the next passport is signed with may be newer than what we know.
      await trust.take(await client.trust({ signal }));
      // Checked inside, so that a seeder that hands out nonsense isn't the last one asked.
      return this.#verified(await this.#ask(client, isAlive, signal));
    }, signal);
    this.#renewedAtMs = now();
    const passport = this.#passport.text;
    await file.write(JSON.stringify({ format: "shoal.host-passport/v1", passport }));
    log.info({ host: hostId, expiresAtMs: this.#passport.facts.expiresAtMs }, "joined the fleet");
    return true;
  }

  /** The key behind a passport may have got an earlier end, or none of our trust any more. */
  async #judgeAgain(): Promise<void> {
    const kept = this.#passport;
    const document = this.#deps.trust.document();
    if (kept === null || document === this.#judgedBy) return;
    this.#judgedBy = document;
    try {
      this.#passport = await this.#verified(kept.text);
    } catch (error) {
      this.#deps.log.warn({ error }, "the passport is of no use any more; joining anew");
      // Its labels still say which goals are ours.
      this.#passport = { ...kept, facts: { ...kept.facts, expiresAtMs: 0 } };
    }
  }

  async #ask(client: SeederClient, isAlive: boolean, signal: AbortSignal): Promise<string> {
    const { joinToken, hostId, zone, labels } = this.#config;
    const isSame = this.#isAsConfigured();
    if (isAlive && (isSame || joinToken === undefined)) {
      try {
        return (await client.renew({ signal })).passport;
      } catch (error) {
        if (joinToken === undefined || signal.aborted) throw error;
        this.#deps.log.warn({ error }, "the passport can't be renewed; joining with the token");
      }
    }
    if (joinToken === undefined) throw joinTokenMissing();
    const input = { joinToken, host: hostId, zone, labels: { ...labels } };
    return (await client.join(input, { signal })).passport;
  }

  /** A renewal changes neither zone nor labels. */
  #isAsConfigured(): boolean {
    const { zone, labels } = this.#config;
    const facts = this.#passport?.facts;
    if (facts === undefined || facts.zone !== zone) return false;
    return Object.entries(labels).every(([label, value]) => facts.labels[label] === value);
  }

  async #verified(text: string): Promise<KeptPassport> {
    const { trust, now } = this.#deps;
    const { peerId } = this.#config;
    const facts = await verifyPassport(text, trust.document(), {
      nowMs: now(),
      peerId,
      roles: ["host"],
      isRevoked: trust.isRevoked,
    });
    return { text, facts: this.#requireOurs(facts) };
  }

  #requireOurs<Facts extends PassportFacts>(facts: Facts): Facts {
    const { peerId, hostId, region } = this.#config;
    const isOurs = facts.host === hostId && facts.region === region && facts.peerId === peerId;
    if (isOurs) return facts;
    throw new ShoalError(
      "passport_host_wrong",
      `The passport is of ${facts.host} in ${facts.region}; this is ${hostId} in ${region}.`,
      { blame: "remote", hint: "Configure the region that the join token is for" },
    );
  }
}

function joinTokenMissing(): ShoalError {
  return new ShoalError(
    "join_token_missing",
    "This host has no passport that lasts and no join token.",
    { blame: "local", hint: "Give --join-token or SHOAL_JOIN_TOKEN_FILE" },
  );
}
