import { expect, test } from "vitest";
import { startReusing } from "./reusing.ts";

const membership = { reused: () => undefined, reuseFailed: () => undefined };

test("stopping ends the copying, and waits until nothing is written any more", async () => {
  const steps: string[] = [];
  const reusing = startReusing(
    {
      copy: async (_listener, signal) => {
        await new Promise((resolve) => signal?.addEventListener("abort", resolve));
        steps.push("aborted");
        await new Promise(setImmediate);
        steps.push("written");
        signal?.throwIfAborted();
      },
    },
    membership,
  );
  await reusing.stop();
  expect(steps).toEqual(["aborted", "written"]);
  await expect(reusing.done).rejects.toThrow("the fetch is over");
  await reusing.stop();
});

test("what can't be written ends the fetch with the reason", async () => {
  const full = Object.assign(new Error("no space left"), { code: "ENOSPC" });
  const reusing = startReusing({ copy: () => Promise.reject(full) }, membership);
  await expect(reusing.done).rejects.toThrow("no space left");
  await reusing.stop();
});
