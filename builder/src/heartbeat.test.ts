import { ShoalError } from "@shoal/core/error";
import { createLog } from "@shoal/daemon/log";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type BeatAnswer, Heartbeat } from "./heartbeat.ts";

const log = createLog("test", "silent");
const timing = { heartbeatMs: 100, leaseMs: 350 };
const fine: BeatAnswer = { cancel: false, grant: "new" };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function unreachable(): ShoalError {
  return new ShoalError("control_plane_unreachable", "no", {
    blame: "environment",
    retryable: true,
  });
}

test("beats at its interval and keeps the newest grant", async () => {
  let beats = 0;
  const beat = async (): Promise<BeatAnswer> => ({ ...fine, grant: `grant ${(beats += 1)}` });
  const heart = new Heartbeat({ beat, log }, "first", timing);
  expect(heart.grant).toBe("first");
  await vi.advanceTimersByTimeAsync(1050);
  expect(beats).toBe(10);
  expect(heart.grant).toBe("grant 10");
  expect(heart.lost.aborted).toBe(false);
  await heart.stop();
  await vi.advanceTimersByTimeAsync(1000);
  expect(beats).toBe(10);
});

test("survives lost beats within the lease", async () => {
  const answers = [true, false, false, true, false, false, true];
  const beat = async (): Promise<BeatAnswer> => {
    if (answers.shift() === false) throw unreachable();
    return fine;
  };
  const heart = new Heartbeat({ beat, log }, "", timing);
  await vi.advanceTimersByTimeAsync(700);
  expect(heart.lost.aborted).toBe(false);
  await heart.stop();
});

test("loses the lease when nobody answers for as long as it lasts", async () => {
  const heart = new Heartbeat({ beat: () => Promise.reject(unreachable()), log }, "", timing);
  await vi.advanceTimersByTimeAsync(349);
  expect(heart.lost.aborted).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(heart.lost.reason).toMatchObject({ code: "lease_lost" });
  await heart.stop();
});

test("loses the lease when beats hang", async () => {
  const beat = (signal: AbortSignal): Promise<BeatAnswer> =>
    new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason as Error));
    });
  const heart = new Heartbeat({ beat, log }, "", timing);
  await vi.advanceTimersByTimeAsync(350);
  expect(heart.lost.aborted).toBe(true);
  await heart.stop();
});

test("loses the lease at once when the fence is refused", async () => {
  const refused = new ShoalError("fence_stale", "no", { blame: "remote" });
  const heart = new Heartbeat({ beat: () => Promise.reject(refused), log }, "", timing);
  await vi.advanceTimersByTimeAsync(100);
  expect(heart.lost.reason).toMatchObject({ code: "lease_lost" });
  await heart.stop();
});

test("passes a cancel on and goes on beating, because the lease is still needed", async () => {
  let beats = 0;
  const beat = async (): Promise<BeatAnswer> => ({ ...fine, cancel: (beats += 1) >= 2 });
  const heart = new Heartbeat({ beat, log }, "", timing);
  await vi.advanceTimersByTimeAsync(100);
  expect(heart.cancelled.aborted).toBe(false);
  await vi.advanceTimersByTimeAsync(100);
  expect(heart.cancelled.reason).toMatchObject({ code: "build_cancelled" });
  await vi.advanceTimersByTimeAsync(300);
  expect(beats).toBe(5);
  expect(heart.lost.aborted).toBe(false);
  await heart.stop();
});
