// Letting hosts in while the control plane can't be asked (PROTOCOL.md 5.1): the region's join tokens as
// they were told last, and who came in with them. A use is on disk before its passport goes out, so that
// a restart in between lets in nobody twice; what was counted here is told upwards until it was heard.
import { admissions, joinTokens, type Admission, type JoinTokens } from "@shoal/api/seeder";
import { remoteError, ShoalError } from "@shoal/core/error";
import type { PeerId } from "@shoal/core/ids";
import { joinTokensMax } from "@shoal/core/limits";
import { countingSeeder, judgeJoin } from "@shoal/core/trust/join-rule";
import type { StateFile } from "@shoal/daemon/atomic-file";
import type { Log } from "@shoal/daemon/log";
import { createHash } from "node:crypto";
import { z } from "zod";

const admissionsFile = z.strictObject({
  format: z.literal("shoal.seeder-admissions/v1"),
  tokens: joinTokens.shape.items,
  untold: admissions.shape.items,
});

export interface AdmissionsDeps {
  readonly file: StateFile;
  readonly self: PeerId;
  readonly region: () => string | null;
  /** Of the region, this one included. */
  readonly seeders: () => readonly { readonly peerId: PeerId }[];
  readonly now: () => number;
  readonly log: Pick<Log, "warn" | "info">;
}

/** A host that shows a join token over a connection that proved its key. */
export type Joining = Omit<Admission, "hash" | "environment"> & { readonly joinToken: string };

export class Admissions {
  readonly #deps: AdmissionsDeps;
  #tokens: JoinTokens["items"] = [];
  #untold: Admission[] = [];

  constructor(deps: AdmissionsDeps) {
    this.#deps = deps;
  }

  async load(): Promise<void> {
    try {
      const bytes = await this.#deps.file.read();
      if (bytes === undefined) return;
      const { tokens, untold } = admissionsFile.parse(JSON.parse(new TextDecoder().decode(bytes)));
      this.#tokens = tokens;
      this.#untold = untold;
    } catch (error) {
      this.#deps.log.warn({ error }, "the join tokens on disk can't be read; hosts have to wait");
    }
  }

  /** Takes the tokens as the control plane knows them. What wasn't told upwards yet is still counted. */
  async takeTokens(tokens: JoinTokens["items"]): Promise<void> {
    if (JSON.stringify(tokens) === JSON.stringify(this.#tokens)) return;
    this.#tokens = tokens;
    await this.#save();
  }

  /** Whether this token has let in somebody of whom the control plane hasn't heard. */
  hasUntold(joinToken: string): boolean {
    const hash = hashOf(joinToken);
    return this.#untold.some((admission) => admission.hash === hash);
  }

  /** Whom the control plane hasn't heard of. */
  untold(): readonly Admission[] {
    return this.#untold;
  }

  /** The control plane has heard of these. */
  async told(heard: readonly Admission[]): Promise<void> {
    if (heard.length === 0) return;
    this.#untold = this.#untold.filter((admission) => !heard.includes(admission));
    await this.#save();
  }

  /**
   * Lets a host in and counts it; the same host with the same token again costs no use.
   * @throws ShoalError of `judgeJoin`, or `join_elsewhere` when another seeder of the region counts.
   */
  async admit({ joinToken, ...host }: Joining): Promise<Admission> {
    const { now, region, log, seeders, self } = this.#deps;
    const hash = hashOf(joinToken);
    const known = this.#untold.find((one) => one.hash === hash && one.peerId === host.peerId);
    if (known?.host === host.host) return known;
    const token = this.#tokens.find((one) => one.hash === hash);
    const judgment = judgeJoin(
      token === undefined ? null : this.#left(token),
      { role: "host", region: region() ?? "", labels: host.labels },
      now(),
    );
    if (judgment.type === "refused") throw judgment.error;
    const counter = countingSeeder(
      hash,
      seeders().map(({ peerId }) => peerId),
    );
    if (counter !== self) throw elsewhere(counter);
    if (this.#untold.length >= joinTokensMax)
      throw remoteError("joins_full", "Too many hosts joined.");
    const { labels } = judgment;
    const admission = { ...host, hash, environment: token?.environment ?? "", labels };
    this.#untold = [...this.#untold, admission];
    await this.#save();
    log.info({ host: host.host, peerId: host.peerId }, "let a host in without the control plane");
    return admission;
  }

  /** A token as it is after those that we let in. */
  #left(token: JoinTokens["items"][number]): Parameters<typeof judgeJoin>[0] {
    const used = this.#untold.filter(({ hash }) => hash === token.hash).length;
    const usesLeft = Math.max(0, token.usesLeft - used);
    return { ...token, role: "host", usesLeft, region: this.#deps.region() ?? "" };
  }

  async #save(): Promise<void> {
    const content: z.input<typeof admissionsFile> = {
      format: "shoal.seeder-admissions/v1",
      tokens: this.#tokens,
      untold: this.#untold,
    };
    await this.#deps.file.write(JSON.stringify(content));
  }
}

function hashOf(joinToken: string): string {
  return createHash("sha256").update(joinToken).digest("hex");
}

function elsewhere(counter: PeerId | null): ShoalError {
  return new ShoalError(
    "join_elsewhere",
    `While the control plane is down, seeder ${counter ?? "nobody"} counts this token.`,
    { blame: "environment", retryable: true },
  );
}
