// Releases and goals with real ids, for tests of the agent.
import { cidOf } from "@shoal/core/cid";
import type { Goal } from "@shoal/core/rollout/goal";
import type { HealthCheck, Release, RunSpec } from "@shoal/core/rollout/release";
import { releaseId } from "@shoal/core/rollout/release-id";

const timing = {
  intervalMs: 100,
  timeoutMs: 1000,
  startupMs: 300,
  healthyAfterCount: 1,
  unhealthyAfterCount: 2,
};

export const noCheck: HealthCheck = { type: "none", ...timing, startupMs: 100 };

export function commandCheck(script: string): HealthCheck {
  return { type: "command", command: ["/bin/sh", "-c", script], ...timing };
}

export function runSpec(script: string, parts: Partial<RunSpec> = {}): RunSpec {
  return {
    command: ["/bin/sh", "-c", script],
    environment: {},
    port: null,
    health: noCheck,
    stopTimeoutMs: 500,
    memoryBytesMax: null,
    ...parts,
  };
}

/** An artifact that nobody has, unless one is named. */
export function release(run: RunSpec, artifact: string = cidOf(new Uint8Array())): Release {
  const content = { artifact, project: "web", commit: "c".repeat(40), run };
  return { id: releaseId(content), ...content };
}

export function goal(generation: number, parts: Partial<Goal>): Goal {
  return {
    format: "shoal.goal/v1",
    environment: "production",
    region: "north",
    service: "web",
    epoch: 1,
    generation,
    rollout: 1,
    prepare: [],
    run: null,
    fallback: null,
    switch: { type: "all" },
    salt: "salt",
    selector: {},
    issuedAt: "2026-06-01T00:00:00Z",
    ...parts,
  };
}
