// Hosts that join: the control plane, which knows the join tokens, is asked for each one's passport.
import type { passportAnswer, passportInput } from "@shoal/api/seeder";
import { ShoalError } from "@shoal/core/error";
import { joinsMax } from "@shoal/core/limits";
import type { z } from "zod";

type PassportInput = z.output<typeof passportInput>;
type PassportAnswer = z.output<typeof passportAnswer>;

export class Joins {
  readonly #issue: (input: PassportInput) => Promise<PassportAnswer>;
  #running = 0;

  constructor(issue: (input: PassportInput) => Promise<PassportAnswer>) {
    this.#issue = issue;
  }

  /** Throws what the control plane answers, `joins_full` or `seeder_refused`. */
  async join(input: PassportInput): Promise<PassportAnswer> {
    if (this.#running >= joinsMax) {
      const message = "Too many hosts join at once.";
      throw new ShoalError("joins_full", message, { blame: "environment", retryable: true });
    }
    this.#running += 1;
    try {
      return await this.#issue(input);
    } catch (error) {
      throw explain(error);
    } finally {
      this.#running -= 1;
    }
  }
}

/** The control plane's word about this seeder's own token would only confuse the host's operator. */
function explain(error: unknown): unknown {
  if (!(error instanceof ShoalError)) return error;
  if (error.code !== "unauthorized" && error.code !== "forbidden") return error;
  return new ShoalError("seeder_refused", "The control plane doesn't accept this seeder's token.", {
    blame: "environment",
    hint: "Give the seeder a token of the role seeder",
    cause: error,
  });
}
