import type { BuilderLoad, Lease } from "@shoal/api/builder";
import type { Failure } from "@shoal/api/control-plane";
import { builderKeyUntrusted } from "@shoal/core/build/retry";
import { expect, test } from "vitest";
import { startBuilder } from "./builder.ts";

const load = async (): Promise<BuilderLoad> => ({
  ...{ cpuPercent: 0, memoryFreeBytes: 0, diskFreeBytes: 0 },
});

test("drains: the build that runs ends by itself, and no other is taken", async () => {
  let leases = 0;
  const told: boolean[] = [];
  const begun = Promise.withResolvers<AbortSignal>();
  const end = Promise.withResolvers<null>();
  const client = {
    lease: async () => {
      leases += 1;
      return { lease: {} as Lease };
    },
    drain: async ({ idle }: { idle?: boolean | undefined }) => void told.push(idle ?? false),
  };
  const runAttempt = async (_lease: Lease, stopping: AbortSignal): Promise<null> => {
    begun.resolve(stopping);
    return end.promise;
  };
  const log = { warn: () => undefined, debug: () => undefined };
  const builder = startBuilder({ client, runAttempt, load, log }, { name: "b", labels: {} });
  const stopping = await begun.promise;
  const drained = builder.drain();
  expect(stopping.aborted).toBe(false);
  end.resolve(null);
  await drained;
  await builder.stop();
  expect([leases, told]).toEqual([1, [false]]);
});

test("says that it is idle when it drains while it asks, so that no lost answer keeps a build", async () => {
  const told: boolean[] = [];
  const asking = Promise.withResolvers<void>();
  const client = {
    lease: async (_: object, options?: { signal?: AbortSignal | undefined }) => {
      asking.resolve();
      await new Promise((_resolve, reject) => {
        options?.signal?.addEventListener("abort", () => reject(new Error("gone")));
      });
      return { lease: null };
    },
    drain: async ({ idle }: { idle?: boolean | undefined }) => void told.push(idle ?? false),
  };
  const log = { warn: () => undefined, debug: () => undefined };
  const deps = { client, runAttempt: async () => null, load, log };
  const builder = startBuilder(deps, { name: "b", labels: {} });
  await asking.promise;
  await builder.drain();
  await builder.stop();
  expect(told).toEqual([true]);
});

test("takes no more builds once nobody believes its key, and goes on saying so", async () => {
  let leases = 0;
  const warned = Promise.withResolvers<unknown>();
  const client = {
    lease: async () => {
      leases += 1;
      return { lease: {} as Lease };
    },
    drain: async () => undefined,
  };
  const failure: Failure = { code: builderKeyUntrusted, message: "no", blame: "system" };
  const log = { warn: (facts: unknown) => warned.resolve(facts), debug: () => {} };
  const deps = { client, runAttempt: async () => failure, load, log };
  const loop = startBuilder(deps, { name: "b", labels: {} });
  try {
    expect(await warned.promise).toMatchObject({ error: { code: builderKeyUntrusted } });
    expect(leases).toBe(1);
  } finally {
    await loop.stop();
  }
});
