import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { FetchRoom } from "./fetch-room.ts";

const { signal } = new AbortController();

/** Takes room and notes when it got it. */
function taker(room: FetchRoom, got: string[]) {
  return async (name: string, bytes: number, by: AbortSignal = signal): Promise<() => void> => {
    const leave = await room.take(bytes, () => bytes / 2, by);
    got.push(name);
    return leave;
  };
}

test("lets in as many as fit, then in the order in which they came", async () => {
  const room = new FetchRoom(100);
  const got: string[] = [];
  const take = taker(room, got);
  const leaves = [await take("a", 60), await take("b", 40)];
  const waiting = [take("c", 50), take("d", 1)];
  await turn();
  expect([got, room.missingBytes]).toEqual([["a", "b"], 50]);
  leaves[1]?.();
  await turn();
  expect(got).toEqual(["a", "b"]);
  leaves[0]?.();
  leaves[0]?.();
  await Promise.all(waiting);
  expect([got, room.missingBytes]).toEqual([["a", "b", "c", "d"], 25.5]);
});

test("lets one that is larger than all of it go alone", async () => {
  const room = new FetchRoom(100);
  const got: string[] = [];
  const take = taker(room, got);
  const leave = await take("large", 1000);
  const small = take("small", 1);
  await turn();
  expect(got).toEqual(["large"]);
  leave();
  await small;
  expect(got).toEqual(["large", "small"]);
});

test("whoever gives up waiting keeps nobody waiting", async () => {
  const room = new FetchRoom(100);
  const got: string[] = [];
  const take = taker(room, got);
  await take("a", 60);
  const gone = new AbortController();
  const given = take("b", 60, gone.signal);
  const next = take("c", 40);
  gone.abort(new Error("not wanted any more"));
  await expect(given).rejects.toThrow("not wanted any more");
  await next;
  expect(got).toEqual(["a", "c"]);
});
