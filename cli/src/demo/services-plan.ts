// What the demo with many services deploys: one small program as services that select different hosts.
import type { Client } from "@shoal/api/client";
import { gibibyte, minuteMs, secondMs } from "@shoal/core/units";
import { join } from "node:path";
import { type ExampleCommit, makeExampleRepository } from "./example-repository.ts";

/** Hosts of the demo stand in so many racks, one after the other. */
export const racks = 3;

export interface PlannedService {
  readonly name: string;
  readonly selector: Readonly<Record<string, string>>;
  /** It is given the version that can't run. */
  readonly isBad: boolean;
  readonly input: Parameters<Client["services"]["create"]>[0];
}

export interface ServicesPlan {
  readonly project: Parameters<Client["projects"]["create"]>[0];
  readonly commits: readonly ExampleCommit[];
  readonly services: readonly PlannedService[];
}

/** Every fourth service runs on all hosts, the others on one rack each; one of the first kind is bad. */
export async function makeServicesPlan(
  count: number,
  dir: string,
  searchPath: string,
): Promise<ServicesPlan> {
  const repository = join(dir, "repository");
  const commits = await makeExampleRepository("worker", repository, searchPath);
  const bad = Math.min(3, count - 1);
  return {
    project: {
      name: "worker",
      remoteUrl: repository,
      buildCommand: "sh build.sh",
      artifactPath: "dist",
      limits: {
        memoryBytesMax: 1 * gibibyte,
        processesMax: 64,
        timeoutMs: 5 * minuteMs,
        diskBytesMax: 1 * gibibyte,
      },
    },
    commits,
    services: Array.from({ length: count }, (_unused, index) => {
      const name = `worker-${String(index + 1).padStart(2, "0")}`;
      const selector: Record<string, string> = index % 4 === 3 ? {} : { rack: `r${index % racks}` };
      return { name, selector, isBad: index === bad, input: serviceInput(name, selector) };
    }),
  };
}

function serviceInput(
  name: string,
  selector: Record<string, string>,
): Parameters<Client["services"]["create"]>[0] {
  return {
    name,
    project: "worker",
    selector,
    run: {
      command: ["sh", "worker.sh"],
      environment: { SERVICE: name },
      // No process for checks: there are hundreds of programs on one machine.
      health: { type: "none", startupMs: 1 * secondMs },
      stopTimeoutMs: 5 * secondMs,
    },
  };
}
