import { callsTogetherMax } from "@shoal/core/limits";
import { expect, test, vi } from "vitest";
import { Together } from "./together.ts";

/** Work that ends when it is told to, and remembers what it was given. */
function desk(refuses: (input: number) => boolean = () => false) {
  const batches: number[][] = [];
  const ends: (() => void)[] = [];
  const calls = new Together<number, number>(
    async (inputs) => {
      batches.push([...inputs]);
      await new Promise<void>((resolve) => {
        ends.push(resolve);
      });
      if (inputs.some(refuses)) throw new Error("refused");
      return inputs.map((input) => input * 10);
    },
    (error) => error instanceof Error && error.message === "refused",
  );
  const endAll = async (): Promise<void> => {
    while (ends.length > 0) {
      ends.shift()?.();
      await Promise.resolve();
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
  };
  return { calls, batches, endAll };
}

test("does the first call at once, and those that come meanwhile together, each with its answer", async () => {
  const { calls, batches, endAll } = desk();
  const answers = Promise.all([1, 2, 3].map((input) => calls.do("", input)));
  expect(batches).toEqual([[1]]);
  await endAll();
  expect(await answers).toEqual([10, 20, 30]);
  expect(batches).toEqual([[1], [2, 3]]);
});

test("never does calls of different keys, or too many, in one", async () => {
  const { calls, batches, endAll } = desk();
  const many = Array.from({ length: callsTogetherMax + 2 }, (_, index) => calls.do("a", index));
  const other = calls.do("b", 7);
  expect(batches).toEqual([[0], [7]]);
  await endAll();
  await Promise.all([...many, other]);
  expect(batches.map((batch) => batch.length)).toEqual([1, 1, callsTogetherMax, 1]);
});

test("does each by itself when one of them makes the database refuse all", async () => {
  const { calls, batches, endAll } = desk((input) => input === 3);
  const answers = Promise.allSettled([1, 2, 3].map((input) => calls.do("", input)));
  await endAll();
  expect((await answers).map(({ status }) => status)).toEqual([
    "fulfilled",
    "fulfilled",
    "rejected",
  ]);
  expect(batches).toEqual([[1], [2, 3], [2], [3]]);
});

test("doesn't let one that takes long hold up those that come later", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const { calls, batches, endAll } = desk();
    const answers = [calls.do("", 1), calls.do("", 2)];
    expect(batches).toEqual([[1]]);
    vi.runAllTimers();
    expect(batches).toEqual([[1], [2]]);
    vi.runAllTimers();
    answers.push(calls.do("", 3));
    expect(batches).toEqual([[1], [2], [3]]);
    await endAll();
    expect(await Promise.all(answers)).toEqual([10, 20, 30]);
  } finally {
    vi.useRealTimers();
  }
});
