// Hosts that join: the control plane, which counts the uses of join tokens, is asked for each one's
// passport; while it can't be asked, this seeder lets hosts in by what it was told last. Renewals are
// this seeder's own: who shows a good passport gets the next one under its delegation.
import type { Joining } from "./admissions.ts";
import type { passportAnswer, passportInput } from "@shoal/api/seeder";
import { isCallerRefusal } from "@shoal/api/problem";
import { ShoalError } from "@shoal/core/error";
import { joinAskMsMax, joinsMax, passportMs } from "@shoal/core/limits";
import type { KeyFile } from "@shoal/trust/key-file";
import { issuePassport, type PassportFacts } from "@shoal/trust/passport";
import type { z } from "zod";
import type { Admissions } from "./admissions.ts";

type PassportInput = z.output<typeof passportInput>;
type PassportAnswer = z.output<typeof passportAnswer>;

export interface JoinsDeps {
  readonly askControlPlane: (input: PassportInput, signal: AbortSignal) => Promise<PassportAnswer>;
  readonly admissions: Pick<Admissions, "admit" | "hasUntold">;
  /** Tells the control plane whom this seeder has let in; again is no harm. */
  readonly tellAdmissions: (signal: AbortSignal) => Promise<void>;
  readonly key: KeyFile;
  /** Leave of the control plane to issue passports; null before it gave one. */
  readonly delegation: () => string | null;
  readonly region: () => string;
  readonly now: () => number;
}

/** What the control plane, or the way to it, says when it is down rather than of another mind. */
const downCodes = new Set([
  "control_plane_unreachable",
  "control_plane_timeout",
  "database_unavailable",
]);

export class Joins {
  readonly #deps: JoinsDeps;
  #running = 0;

  constructor(deps: JoinsDeps) {
    this.#deps = deps;
  }

  /** Throws what the control plane answers, what `Admissions.admit` throws, `joins_full`, … */
  async join(input: PassportInput): Promise<PassportAnswer> {
    if (this.#running >= joinsMax) {
      const message = "Too many hosts join at once.";
      throw new ShoalError("joins_full", message, { blame: "environment", retryable: true });
    }
    this.#running += 1;
    try {
      const { admissions, tellAdmissions } = this.#deps;
      const signal = AbortSignal.timeout(joinAskMsMax);
      // A control plane that has just come back would count a use that is spent.
      if (admissions.hasUntold(input.joinToken)) await tellAdmissions(signal);
      return await this.#deps.askControlPlane(input, signal);
    } catch (error) {
      if (!isDown(error)) throw explain(error);
      return await this.#admit(input, error);
    } finally {
      this.#running -= 1;
    }
  }

  /** The next passport of a host that has shown a good one. Throws `delegation_missing`. */
  async renew(facts: PassportFacts): Promise<string> {
    const { delegation, key, now } = this.#deps;
    const leave = delegation();
    if (leave === null) {
      throw new ShoalError("delegation_missing", "This seeder may not issue passports yet.", {
        blame: "environment",
        retryable: true,
      });
    }
    const { peerId, host, region, zone, labels, environment } = facts;
    const role = "host";
    const next = { peerId, host, region, zone, labels, environment, role } as const;
    return issuePassport(key, next, passportMs, now(), leave);
  }

  async #admit(input: Joining, cause: unknown): Promise<PassportAnswer> {
    const { admissions, delegation, region } = this.#deps;
    // Without leave to issue there is nothing to count.
    if (delegation() === null) throw cause;
    const { peerId, host, zone, labels, environment } = await admissions.admit(input);
    const facts = {
      peerId,
      host,
      zone,
      labels,
      environment,
      region: region(),
      role: "host",
    } as const;
    return { passport: await this.renew(facts), environment };
  }
}

function isDown(error: unknown): boolean {
  if (error instanceof ShoalError) return downCodes.has(error.code);
  return error instanceof DOMException && error.name === "TimeoutError";
}

/**
 * What the host is told: a refusal of what it sent as it is, and nothing of this seeder's own standing, which
 * would only confuse the host's operator.
 */
function explain(error: unknown): unknown {
  if (!(error instanceof ShoalError)) return error;
  if (isCallerRefusal(error)) {
    const message = "The control plane doesn't accept this seeder.";
    return new ShoalError("seeder_refused", message, { blame: "environment", cause: error });
  }
  if (error.blame !== "local") return error;
  // "Local" was us, when the control plane's answer came: the mistake is in what we passed on.
  const { code, message, hint } = error;
  return new ShoalError(code, message, {
    blame: "remote",
    cause: error,
    hint,
  });
}
