import { Prng } from "@shoal/core/prng";
import { expect, test } from "vitest";
import { EventQueue } from "./event-queue.ts";
import { eventListMax, eventListValueMax } from "./event-records.ts";

function listOf(step: number): Uint32Array {
  return Uint32Array.from(
    { length: step % 16 },
    (_unused, index) => eventListValueMax - step - index,
  );
}

test("gives events by time, and those of the same time in the order they were added", () => {
  const prng = new Prng(5);
  const queue = new EventQueue();
  const model: { at: number; a: number }[] = [];
  let now = 0;
  for (let step = 0; step < 20_000; step += 1) {
    if (prng.below(5) < 3) {
      // Some at once, most soon, and some beyond what is kept by span.
      const at = now + prng.below([1, 50, 50, 50, 500][prng.below(5)] ?? 1) / 4;
      if (step % 7 === 6) queue.addWithList(at, 6, step, step + 1, listOf(step), step % 16);
      else queue.add(at, step % 7, step, step + 1, step + 2, step + 3, step + 4);
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
    if (kind === 6) {
      const list = new Uint32Array(eventListMax);
      const length = queue.readList(list);
      expect([at, a, b]).toEqual([expected.at, ...fields.slice(0, 2)]);
      expect(list.subarray(0, length)).toEqual(listOf(from));
    } else {
      expect([at, kind, a, b, c, d, e]).toEqual([expected.at, from % 7, ...fields]);
    }
    now = at;
  }
  expect(queue.size).toBe(model.length);
}, 20_000);
