// What a builder or a seeder is to the control plane: its key, its passport, and a proof for each call. It
// joins with a join token once, and renews by showing what it has, long before that ends; the token is
// needed again only when the passport has ended or nobody believes in its signature any more.
import type { RenewToken } from "@shoal/api/call";
import type { Client } from "@shoal/api/client";
import { ShoalError } from "@shoal/core/error";
import { callProofMs, passportRenewMs, passportRetryMs, tokenBytesMax } from "@shoal/core/limits";
import { z } from "zod";
import { issueCallProof } from "./call-proof.ts";
import { issueJoinRequest } from "./join-request.ts";
import type { KeyFile } from "./key-file.ts";

export interface MemberKeeperDeps {
  readonly key: KeyFile;
  /** Survives restarts, and is replaced whole. */
  readonly file: {
    read(): Promise<Uint8Array | undefined>;
    write(content: string): Promise<void>;
  };
  /** Its calls present `callProof()`. */
  readonly client: () => Pick<Client["members"], "join" | "renew">;
  readonly now: () => number;
  /** For spreading renewals: what joined together doesn't renew together. */
  readonly random: () => number;
  readonly log: {
    info(facts: object, message: string): void;
    warn(facts: object, message: string): void;
  };
}

export interface MemberKeeperConfig {
  readonly role: "builder" | "seeder";
  readonly name: string;
  readonly joinToken?: string | undefined;
}

const kept = z.strictObject({
  format: z.literal("shoal.member/v1"),
  passport: z.string().max(tokenBytesMax),
  region: z.string(),
  expiresAtMs: z.number(),
});
type Kept = z.infer<typeof kept>;

/** Answers after which only the join token helps: the passport isn't believed, whatever its dates say. */
const refusals = new Set([
  "key_expired",
  "key_not_allowed",
  "passport_expired",
  "passport_invalid",
  "signature_invalid",
  "signature_key_unknown",
]);

const neverAborted = new AbortController().signal;

export class MemberKeeper {
  readonly #deps: MemberKeeperDeps;
  readonly #config: MemberKeeperConfig;
  readonly #renewBeforeMs: number;
  #kept: Kept | null = null;
  #proof: { readonly text: string; readonly untilMs: number } | null = null;
  #renewedAtMs = Number.NEGATIVE_INFINITY;
  #isRefused = false;
  #isStale = false;
  #ensuring: Promise<void> | null = null;

  constructor(deps: MemberKeeperDeps, config: MemberKeeperConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#renewBeforeMs = passportRenewMs * (0.8 + 0.4 * deps.random());
  }

  /** Reads what an earlier life had; what is of no use is as good as none. */
  async load(): Promise<void> {
    try {
      const bytes = await this.#deps.file.read();
      if (bytes !== undefined) {
        this.#kept = kept.parse(JSON.parse(new TextDecoder().decode(bytes)));
      }
    } catch (error) {
      this.#deps.log.warn({ error }, "the passport on disk is of no use; joining anew");
    }
  }

  /** Throws `passport_missing` before this member has joined. */
  passport(): string {
    return this.#present().passport;
  }

  /** The region of the join token; null before this member has joined. */
  region(): string | null {
    return this.#kept?.region ?? null;
  }

  /** What calls to the control plane present. Throws `passport_missing`. */
  callProof(): string {
    const { key, now } = this.#deps;
    const { passport } = this.#present();
    const nowMs = now();
    if (this.#proof === null || nowMs >= this.#proof.untilMs) {
      // Replaced at half its time, so that none ends on its way.
      const untilMs = nowMs + callProofMs / 2;
      this.#proof = { text: issueCallProof(key, passport, nowMs), untilMs };
    }
    return this.#proof.text;
  }

  /** The trust document has changed: the next passport should be of a key that the newest one names. */
  renewSoon(): void {
    this.#isStale = true;
  }

  /** Makes a call as a member: joins or renews before it, when that is due. */
  async call<Answer>(work: () => Promise<Answer>, signal: AbortSignal): Promise<Answer> {
    await this.ensure(signal);
    return work();
  }

  /**
   * A call that presented `proof` was refused because of that: joins anew, once for all calls that were
   * refused together. Throws `error` when joining doesn't help.
   */
  readonly rejoin: RenewToken = async (error, proof, signal = neverAborted) => {
    if (!refusals.has(error.code)) throw error;
    if (proof === this.#proof?.text) this.#isRefused = true;
    await this.ensure(signal);
  };

  /** Joins or renews when it is time. Throws `join_token_missing`, or what the control plane answered. */
  async ensure(signal: AbortSignal): Promise<void> {
    for (;;) {
      const isOurs = this.#ensuring === null;
      this.#ensuring ??= this.#ensure(signal).finally(() => {
        this.#ensuring = null;
      });
      try {
        return await this.#ensuring;
      } catch (error) {
        // Another caller's failure may be that it was told to stop.
        if (isOurs || signal.aborted) throw error;
      }
    }
  }

  async #ensure(signal: AbortSignal): Promise<void> {
    const { now, file, log } = this.#deps;
    const { role, name } = this.#config;
    const leftMs = (this.#kept?.expiresAtMs ?? 0) - now();
    const isAlive = leftMs > 0 && !this.#isRefused;
    const wasRenewed = now() - this.#renewedAtMs < passportRetryMs;
    const isDue = this.#isStale || (leftMs < this.#renewBeforeMs && !wasRenewed);
    if (isAlive && !isDue) return;
    this.#isStale = false;
    try {
      const answer = isAlive ? await this.#renew(signal) : await this.#join(signal);
      this.#kept = { format: "shoal.member/v1", ...answer };
    } catch (error) {
      this.#isStale = isAlive;
      // One that can't be renewed now may be renewed later: half of its time is left for that.
      if (!isAlive || signal.aborted) throw error;
      log.warn({ error }, "the passport can't be renewed yet");
      this.#renewedAtMs = now();
      return;
    }
    this.#proof = null;
    this.#isRefused = false;
    this.#renewedAtMs = now();
    await file.write(JSON.stringify(this.#kept));
    const { region, expiresAtMs } = this.#kept;
    log.info({ role, name, region, expiresAtMs }, "has a passport");
  }

  async #renew(signal: AbortSignal): Promise<Omit<Kept, "format">> {
    const { client, log } = this.#deps;
    try {
      return await client().renew({ signal });
    } catch (error) {
      if (this.#config.joinToken === undefined || signal.aborted) throw error;
      if (!(error instanceof ShoalError) || !refusals.has(error.code)) throw error;
      log.warn({ error }, "the passport can't be renewed; joining with the token");
      return this.#join(signal);
    }
  }

  async #join(signal: AbortSignal): Promise<Omit<Kept, "format">> {
    const { key, client, now } = this.#deps;
    const { joinToken, role, name } = this.#config;
    if (joinToken === undefined) {
      throw new ShoalError("join_token_missing", `${name} has no passport and no join token.`, {
        blame: "local",
        hint: "Give --join-token or SHOAL_JOIN_TOKEN_FILE",
      });
    }
    const request = issueJoinRequest(key, { role, name, joinToken }, now());
    return client().join({ request }, { signal });
  }

  #present(): Kept {
    if (this.#kept !== null) return this.#kept;
    throw new ShoalError("passport_missing", `${this.#config.name} hasn't joined yet.`, {
      blame: "environment",
      retryable: true,
    });
  }
}
