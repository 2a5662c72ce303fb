import { ShoalError } from "@shoal/core/error";
import { leaseCheckedMs } from "@shoal/core/limits";
import { expect, test } from "vitest";
import { LeaseChecks } from "./lease-checks.ts";

function checks(alive: (fence: string) => boolean) {
  const asked: string[] = [];
  const clock = { nowMs: 0 };
  const ask = async (_build: number, fence: string): Promise<void> => {
    asked.push(fence);
    if (!alive(fence)) throw new ShoalError("fence_stale", "stale", { blame: "remote" });
  };
  return { asked, clock, leases: new LeaseChecks(ask, () => clock.nowMs) };
}

test("asks once in a while, and always at the end of a push", async () => {
  const { asked, clock, leases } = checks(() => true);
  await leases.require({ build: 1, fence: "5" });
  await leases.require({ build: 1, fence: "5" });
  expect(asked.length).toBe(1);
  await leases.require({ build: 1, fence: "5" }, true);
  expect(asked.length).toBe(2);
  clock.nowMs += leaseCheckedMs + 1;
  await leases.require({ build: 1, fence: "5" });
  expect(asked.length).toBe(3);
});

test("refuses an older lease of a build without asking, and nobody else's", async () => {
  const { asked, leases } = checks(() => true);
  await leases.require({ build: 1, fence: "10" });
  const late = leases.require({ build: 1, fence: "9" });
  await expect(late).rejects.toMatchObject({ code: "fence_stale" });
  expect(asked).toEqual(["10"]);
  await leases.require({ build: 2, fence: "9" });
  expect(asked).toEqual(["10", "9"]);
});

test("believes the control plane when it says that a lease is lost", async () => {
  let alive = true;
  const { leases } = checks(() => alive);
  await leases.require({ build: 1, fence: "5" });
  alive = false;
  const end = leases.require({ build: 1, fence: "5" }, true);
  await expect(end).rejects.toMatchObject({ code: "fence_stale" });
});
