import type { Build, Rollout } from "@shoal/api/control-plane";
import { ShoalError } from "@shoal/core/error";
import { describe, expect, test } from "vitest";
import { followBuild, followRollout } from "./follow.ts";

const at = "2026-11-21T00:00:00.000Z";
/** What following looks at. */
const build = { id: 7, state: "QUEUED" } as Build;

const options = { pollMs: 1, deadlineMs: 5000 };

/** A control plane that answers these in turn, an error by failing. */
function answering<State>(...answers: readonly (State | Error)[]) {
  let next = 0;
  const get = async (): Promise<State> => {
    const answer = answers[Math.min(next, answers.length - 1)];
    next += 1;
    if (answer === undefined || answer instanceof Error) throw answer ?? new Error("no answers");
    return answer;
  };
  return { get, asked: () => next };
}

function builds(...states: readonly (Build["state"] | Error)[]) {
  return answering(
    ...states.map((state) => (state instanceof Error ? state : { ...build, state })),
  );
}

const away = new ShoalError("control_plane_unreachable", "no connection", {
  blame: "environment",
  retryable: true,
});

describe("following a build", () => {
  test("tells every answer, and ends with the first final one", async () => {
    const asked = builds("QUEUED", "BUILDING", "REPLICATING", "SUCCEEDED", "FAILED");
    const seen: string[] = [];
    const ended = await followBuild({ builds: asked }, 7, options, ({ state }) => seen.push(state));
    expect(ended.state).toBe("SUCCEEDED");
    expect(seen).toEqual(["QUEUED", "BUILDING", "REPLICATING", "SUCCEEDED"]);
    expect(asked.asked()).toBe(4);
  });

  test("asks again when the control plane is away for a while", async () => {
    const asked = builds("QUEUED", away, away, "DEAD");
    const ended = await followBuild({ builds: asked }, 7, options, () => {});
    expect(ended.state).toBe("DEAD");
  });

  test("doesn't ask again after an answer that won't change", async () => {
    const gone = new ShoalError("not_found", "no such build", { blame: "remote" });
    const asked = builds(gone, "SUCCEEDED");
    await expect(followBuild({ builds: asked }, 7, options, () => {})).rejects.toBe(gone);
    expect(asked.asked()).toBe(1);
  });

  test("gives up at the deadline and says what it saw last", async () => {
    const asked = builds("BUILDING", away);
    const following = followBuild({ builds: asked }, 7, { pollMs: 1, deadlineMs: 20 }, () => {});
    await expect(following).rejects.toMatchObject({
      code: "follow_deadline",
      message: "Gave up waiting: build 7 is BUILDING.",
    });
  });

  test("stops at once when it is told to", async () => {
    const controller = new AbortController();
    const reason = new Error("interrupted");
    const following = followBuild(
      { builds: builds("BUILDING") },
      7,
      { pollMs: 60_000, deadlineMs: 60_000, signal: controller.signal },
      () => controller.abort(reason),
    );
    await expect(following).rejects.toThrow(/interrupted|aborted/i);
  });
});

describe("following a rollout", () => {
  test("ends when the rollout has an end, whatever its state is called", async () => {
    const rollout = { id: 3, state: "SWITCHING", reason: "wave 1", endedAt: null } as Rollout;
    const rollouts = answering(rollout, { ...rollout, state: "FAILED", endedAt: at });
    const ended = await followRollout({ rollouts }, 3, options, () => {});
    expect(ended.state).toBe("FAILED");
    expect(rollouts.asked()).toBe(2);
  });
});
