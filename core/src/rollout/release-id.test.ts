import { describe, expect, test } from "vitest";
import { releaseId } from "./release-id.ts";
import type { Release } from "./release.ts";

const release: Omit<Release, "id"> = {
  artifact: "bafyr4ihsn3hmtyskkz6q2p4jx3ndnijv3ivlgvi5yb5dqfvvq7fy2u5c4a",
  project: "web",
  commit: "0123456789012345678901234567890123456789",
  run: {
    command: ["bin/web", "--quick"],
    environment: { A: "1", B: "2" },
    port: "auto",
    health: {
      type: "http",
      path: "/healthz",
      intervalMs: 1000,
      timeoutMs: 2000,
      startupMs: 30_000,
      healthyAfterCount: 2,
      unhealthyAfterCount: 3,
    },
    stopTimeoutMs: 10_000,
    memoryBytesMax: null,
  },
};

describe("release ids", () => {
  test("don't change from version to version: goals on disks name releases by them", () => {
    expect(releaseId(release)).toBe("rel-de7f803287190550702f91bbe6cec885");
  });

  test("don't depend on the order of keys, nor on an id or anything else that is there", () => {
    const { run, commit, project, artifact } = release;
    const reordered = {
      run: { ...run, environment: { B: "2", A: "1" } },
      commit,
      project,
      artifact,
    };
    expect(releaseId(reordered)).toBe(releaseId(release));
    const extra = { ...release, id: "rel-0", more: 1 };
    expect(releaseId(extra)).toBe(releaseId(release));
  });

  test.for([
    ["the artifact", { artifact: "bafyr4iother" }],
    ["the project", { project: "api" }],
    ["the commit", { commit: "1123456789012345678901234567890123456789" }],
    ["an argument's place", { run: { ...release.run, command: ["bin/web --quick"] } }],
    ["a variable", { run: { ...release.run, environment: { A: "1", B: "3" } } }],
    ["a limit", { run: { ...release.run, memoryBytesMax: 1 } }],
  ] as const)("change with %s", ([, change]) => {
    expect(releaseId({ ...release, ...change })).not.toBe(releaseId(release));
  });
});
