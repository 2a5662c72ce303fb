import { Prng } from "@shoal/core/prng";
import { expect, test } from "vitest";
import { EventQueue } from "./event-queue.ts";

test("gives events by time, and those of the same time in the order they were added", () => {
  const prng = new Prng(5);
  const queue = new EventQueue();
  const model: { at: number; a: number }[] = [];
  let now = 0;
  for (let step = 0; step < 20_000; step += 1) {
    if (prng.below(5) < 3) {
      // Some at once, most soon, and some beyond what is kept by span.
      const at = now + prng.below([1, 50, 50, 50, 500][prng.below(5)] ?? 1) / 4;
      queue.add(at, step % 7, step, step + 1, step + 2, step + 3, step + 4);
      model.push({ at, a: step });
      continue;
    }
    model.sort((x, y) => x.at - y.at || x.a - y.a);
    const expected = model.shift();
    expect(queue.next()).toBe(expected !== undefined);
    if (expected === undefined) continue;
    const { at, a, b, c, d, e, kind } = queue;
    const from = expected.a;
    const fields = [0, 1, 2, 3, 4].map((field) => from + field);
    expect([at, kind, a, b, c, d, e]).toEqual([expected.at, from % 7, ...fields]);
    now = at;
  }
  expect(queue.size).toBe(model.length);
}, 20_000);
