import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Lifecycle } from "./lifecycle.ts";

function createLifecycle() {
  const errors: string[] = [];
  const log = {
    debug: () => undefined,
    error: (facts: { readonly step?: string }) => void errors.push(facts.step ?? ""),
  };
  return { errors, lifecycle: new Lifecycle({ log: log as never }) };
}

describe("lifecycle", () => {
  test("stops in reverse order, one after the other", async () => {
    const { lifecycle } = createLifecycle();
    const seen: string[] = [];
    for (const name of ["first", "second", "third"]) {
      lifecycle.defer(name, async () => {
        seen.push(`${name} begins`);
        await sleep(2);
        seen.push(`${name} ends`);
      });
    }
    expect(await lifecycle.stop()).toBe(true);
    const expected = ["third", "second", "first"].flatMap((name) => [
      `${name} begins`,
      `${name} ends`,
    ]);
    expect(seen).toEqual(expected);
  });

  test("stops each thing once, however often it is asked", async () => {
    const { lifecycle } = createLifecycle();
    let stops = 0;
    lifecycle.defer("one", () => (stops += 1));
    await Promise.all([lifecycle.stop(), lifecycle.stop()]);
    await lifecycle.stop();
    expect(stops).toBe(1);
  });

  test("goes on past a step that throws, rejects or never ends, and says that it wasn't clean", async () => {
    const { lifecycle, errors } = createLifecycle();
    const seen: string[] = [];
    lifecycle.defer("last", () => seen.push("last"));
    lifecycle.defer("hangs", () => new Promise(() => undefined), 10);
    lifecycle.defer("rejects", () => Promise.reject(new Error("no")));
    lifecycle.defer("throws", () => {
      throw new Error("no");
    });
    expect(await lifecycle.stop()).toBe(false);
    expect(seen).toEqual(["last"]);
    expect(errors).toEqual(["throws", "rejects", "hangs"]);
  });

  test("tells by its signal that the stop has begun, before anything is stopped", async () => {
    const { lifecycle } = createLifecycle();
    const { signal } = lifecycle;
    let abortedAtStop = false;
    lifecycle.defer("one", () => (abortedAtStop = signal.aborted));
    expect(signal.aborted).toBe(false);
    await lifecycle.stop();
    expect(abortedAtStop).toBe(true);
    expect(signal.reason).toMatchObject({ code: "stopping" });
  });

  test("stops what is added during or after the stop", async () => {
    const { lifecycle } = createLifecycle();
    const seen: string[] = [];
    lifecycle.defer("one", async () => {
      await sleep(2);
      lifecycle.defer("during", () => seen.push("during"));
    });
    await lifecycle.stop();
    lifecycle.defer("after", () => seen.push("after"));
    await lifecycle.stop();
    expect(seen).toEqual(["during", "after"]);
  });
});
