// Releases of a model fleet.
import type { HealthCheck, Release } from "./release.ts";

const health: HealthCheck = {
  type: "command",
  command: ["true"],
  intervalMs: 1000,
  timeoutMs: 1000,
  startupMs: 20_000,
  healthyAfterCount: 1,
  unhealthyAfterCount: 1,
};

export function makeModelRelease(number: number): Release {
  return {
    id: `rel-${number}`,
    artifact: `artifact-${number}`,
    project: "web",
    commit: "0".repeat(40),
    run: {
      command: ["./web"],
      environment: {},
      port: null,
      health,
      stopTimeoutMs: 1000,
      memoryBytesMax: null,
    },
  };
}
