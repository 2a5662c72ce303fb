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
  const begun = Promise.withResolvers<AbortSignal>();
  const end = Promise.withResolvers<null>();
  const client = {
    lease: async () => {
      leases += 1;
      return { lease: {} as Lease };
    },
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
  expect(leases).toBe(1);
});

test("takes no more builds once nobody believes its key, and goes on saying so", async () => {
  let leases = 0;
  const warned = Promise.withResolvers<unknown>();
  const client = {
    lease: async () => {
      leases += 1;
      return { lease: {} as Lease };
    },
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
