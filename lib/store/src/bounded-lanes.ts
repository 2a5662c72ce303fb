// Work on many items, some of them at once.

/** Calls `work` for every item, at most `lanesCount` at once; stops handing out items at an error. */
export async function forEachInLanes<Item>(
  items: Iterable<Item>,
  lanesCount: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  let hasFailed = false;
  const lane = async (): Promise<void> => {
    for (let next = iterator.next(); next.done !== true && !hasFailed; next = iterator.next()) {
      await work(next.value);
    }
  };
  const lanes = Array.from({ length: lanesCount }, () =>
    lane().catch((error: unknown) => {
      hasFailed = true;
      throw error;
    }),
  );
  // All have stopped when this returns, also after an error.
  const ends = await Promise.allSettled(lanes);
  const failed = ends.find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
