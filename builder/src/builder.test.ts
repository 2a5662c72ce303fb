import type { Lease } from "@shoal/api/builder";
import type { Failure } from "@shoal/api/control-plane";
import { builderKeyUntrusted } from "@shoal/core/build/retry";
import { expect, test } from "vitest";
import { startBuilder } from "./builder.ts";

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
  const deps = { client, runAttempt: async () => failure, log };
  const loop = startBuilder(deps, { name: "b", labels: {} });
  try {
    expect(await warned.promise).toMatchObject({ error: { code: builderKeyUntrusted } });
    expect(leases).toBe(1);
  } finally {
    await loop.stop();
  }
});
