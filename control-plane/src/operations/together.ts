// Calls that come while others of their kind are under way are done together, in one statement: a
// commit, a round trip and a plan for many cost hardly more than for one. Who comes alone goes at once,
// so that nobody waits for company.
import { ShoalError } from "@shoal/core/error";
import {
  callsTogetherMax,
  callsTogetherSlowMs,
  callsTogetherStatementsMax,
  callsWaitingMax,
} from "@shoal/core/limits";

/** Answers one output for each input, in their order; all of it happens, or it throws and nothing did. */
export type Work<Input, Output> = (
  inputs: readonly Input[],
  key: string,
) => Promise<readonly Output[]>;

interface Call<Input, Output> {
  readonly input: Input;
  readonly resolve: (output: Output) => void;
  readonly reject: (error: unknown) => void;
}

interface Lane<Input, Output> {
  readonly waiting: Call<Input, Output>[];
  underWay: number;
  timer: NodeJS.Timeout | null;
}

/**
 * One kind of call. Calls of different keys never share a statement. A batch that the database refuses
 * is done again one by one, so that a call fails by its own fault only.
 */
export class Together<Input, Output> {
  readonly #work: Work<Input, Output>;
  readonly #wasRefused: (error: unknown) => boolean;
  readonly #lanes = new Map<string, Lane<Input, Output>>();
  #waiting = 0;

  /** `wasRefused` says of an error that nothing was done, because of one of the inputs. */
  constructor(work: Work<Input, Output>, wasRefused: (error: unknown) => boolean) {
    this.#work = work;
    this.#wasRefused = wasRefused;
  }

  /** Throws what the work throws, and `database_unavailable` when too many calls wait already. */
  do(key: string, input: Input): Promise<Output> {
    if (this.#waiting >= callsWaitingMax) {
      const message = `${callsWaitingMax} calls wait for the database already.`;
      throw new ShoalError("database_unavailable", message, {
        blame: "environment",
        retryable: true,
      });
    }
    const lane = this.#lanes.get(key) ?? { waiting: [], underWay: 0, timer: null };
    this.#lanes.set(key, lane);
    const { promise, resolve, reject } = Promise.withResolvers<Output>();
    lane.waiting.push({ input, resolve, reject });
    this.#waiting += 1;
    this.#next(key, lane);
    return promise;
  }

  /** Begins with what waits, unless one is under way that has only just begun. */
  #next(key: string, lane: Lane<Input, Output>): void {
    const isFree = lane.timer === null && lane.underWay < callsTogetherStatementsMax;
    if (lane.underWay > 0 && !isFree) return;
    if (lane.timer !== null) clearTimeout(lane.timer);
    lane.timer = null;
    const calls = lane.waiting.splice(0, callsTogetherMax);
    if (calls.length === 0) {
      if (lane.underWay === 0) this.#lanes.delete(key);
      return;
    }
    this.#waiting -= calls.length;
    lane.underWay += 1;
    // One that waits for a lock, or whose connection hangs, doesn't hold up those that come later.
    lane.timer = setTimeout(() => {
      lane.timer = null;
      this.#next(key, lane);
    }, callsTogetherSlowMs).unref();
    void this.#run(key, calls).then(() => {
      lane.underWay -= 1;
      this.#next(key, lane);
    });
  }

  /** Never rejects. */
  async #run(key: string, calls: readonly Call<Input, Output>[]): Promise<void> {
    try {
      const outputs = await this.#work(
        calls.map(({ input }) => input),
        key,
      );
      for (const [index, call] of calls.entries()) call.resolve(outputs[index] as Output);
    } catch (error) {
      if (calls.length === 1 || !this.#wasRefused(error)) {
        for (const call of calls) call.reject(error);
        return;
      }
      await Promise.all(calls.map((call) => this.#run(key, [call])));
    }
  }
}
