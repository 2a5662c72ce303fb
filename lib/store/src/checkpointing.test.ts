import { describe, expect, test } from "vitest";
import { checkpointMs } from "@shoal/core/limits";
import { keepCheckpoints } from "./checkpointing.ts";

/** What happens at each pause: how many chunks are held after it, and whether the disk works. */
async function checkpointsOf(
  story: readonly (readonly [heldCount: number, disk: "works" | "is full"])[],
): Promise<{ readonly made: readonly number[]; readonly pauses: readonly number[] }> {
  const over = new AbortController();
  const made: number[] = [];
  const pauses: number[] = [];
  let now: readonly [number, string] = [0, "works"];
  const files = {
    get heldCount(): number {
      return now[0];
    },
    checkpoint: async (): Promise<void> => {
      if (now[1] === "is full") throw new Error("no space left");
      made.push(now[0]);
    },
  };
  const pause = async (pauseMs: number): Promise<void> => {
    now = story[pauses.length] ?? now;
    pauses.push(pauseMs);
    if (pauses.length > story.length) over.abort();
  };
  await keepCheckpoints({ files, pause }, over.signal);
  return { made, pauses };
}

describe("checkpoints of a fetch", () => {
  test("are made while chunks arrive, and not while none do", async () => {
    const { made, pauses } = await checkpointsOf([
      [3, "works"],
      [3, "works"],
      [3, "works"],
      [8, "works"],
    ]);
    expect(made).toEqual([3, 8]);
    expect(Math.min(...pauses)).toBe(checkpointMs);
  });

  test("are made again after one failed, also when nothing has arrived since", async () => {
    const { made } = await checkpointsOf([
      [3, "is full"],
      [3, "works"],
    ]);
    expect(made).toEqual([3]);
  });
});
