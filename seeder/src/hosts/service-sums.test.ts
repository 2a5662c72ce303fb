import type { ServiceStatus } from "@shoal/api/seeder";
import { hostSilentMs, switchHostsMax, troubledHostsMax } from "@shoal/core/limits";
import { hostShare } from "@shoal/core/rollout/host-share";
import fc from "fast-check";
import { expect, test } from "vitest";
import { makeArtifact, makeGoal, makeRelease, startMs } from "../fleet.test-kit.ts";
import type { KnownHost } from "./host-table.ts";
import { sumServices } from "./service-sums.ts";

const release = makeRelease(makeArtifact(1, 1).cid);
const other = makeRelease(makeArtifact(2, 1).cid);

function host(
  id: string,
  status: Partial<ServiceStatus> = {},
  facts: Partial<KnownHost> = {},
): KnownHost {
  const service: ServiceStatus = {
    environment: "production",
    service: "web",
    epoch: 1,
    generation: 1,
    state: "healthy",
    holding: [],
    running: null,
    healthy: false,
    failed: null,
    waitsFor: "",
    port: null,
    ...status,
  };
  return {
    peerId: `peer-${id}`,
    host: id,
    region: "north",
    zone: "default",
    environment: "production",
    labels: {},
    report: { host: id, agentVersion: "1", services: [service], fetches: [] },
    seenAtMs: startMs,
    ...facts,
  };
}

const failed = {
  rollout: 4,
  release: release.id,
  code: "health_failed",
  message: "it answered 500",
};

function sum(hosts: readonly KnownHost[], goal = makeGoal(), nowMs = startMs) {
  const [counts] = sumServices([goal], hosts, nowMs);
  if (counts === undefined) throw new Error("there is one goal");
  return counts;
}

test("hosts are counted by what they hold, run and fail", () => {
  const counts = sum(
    [
      host("a", { holding: [release.id, other.id], running: release.id, healthy: true }),
      host("b", { holding: [release.id], running: release.id, healthy: false }),
      host("c", { holding: [release.id, other.id], running: other.id, healthy: true, failed }),
      host("d"),
    ],
    makeGoal({ run: release, rollout: 4 }),
  );
  expect(counts).toMatchObject({ reporting: 4, silent: 0 });
  expect(counts.releases).toEqual([
    { release: release.id, holding: 3, running: 2, healthy: 1, failed: 1 },
    { release: other.id, holding: 2, running: 1, healthy: 1, failed: 0 },
  ]);
  const { release: failedRelease, code, message } = failed;
  expect(counts.troubled).toEqual([{ host: "c", release: failedRelease, code, message }]);
});

test("what failed in an earlier rollout counts no more", () => {
  const counts = sum(
    [host("a", { running: release.id, healthy: true, failed })],
    makeGoal({ rollout: 5 }),
  );
  expect(counts.releases).toMatchObject([{ running: 1, healthy: 1, failed: 0 }]);
  expect(counts.troubled).toEqual([]);
});

test("a host that failed a release in this rollout isn't healthy with it", () => {
  const hosts = [host("a", { running: release.id, healthy: true, failed })];
  const counts = sum(hosts, makeGoal({ rollout: 4 }));
  expect(counts.releases).toMatchObject([{ running: 1, healthy: 0, failed: 1 }]);
});

test("a host that is silent for too long is neither counted nor first", () => {
  const hosts = [host("a", { running: release.id, healthy: true }), host("b")];
  const seenAtMs = startMs - hostSilentMs;
  expect(sum([...hosts, host("c", {}, { seenAtMs })]).silent).toBe(0);
  const counts = sum([...hosts, host("c", {}, { seenAtMs: seenAtMs - 1 })]);
  expect(counts).toMatchObject({ reporting: 2, silent: 1 });
  expect(counts.firstHosts.toSorted()).toEqual(["a", "b"]);
});

test("only hosts of the environment that the selector takes belong to a service", () => {
  const goal = makeGoal({ selector: { tier: "front" } });
  const counts = sum(
    [
      host("a", {}, { labels: { tier: "front", size: "large" } }),
      host("b", {}, { labels: { tier: "back" } }),
      host("c", {}, { labels: { tier: "front" }, environment: "testing" }),
      host("d", {}, { labels: { tier: "front" }, environment: null }),
    ],
    goal,
  );
  expect(counts.reporting).toBe(2);
});

test("the goal that was counted with is named, and whom it allows to switch", () => {
  const seenAtMs = startMs - hostSilentMs - 1;
  const counts = sum(
    [host("a"), host("b"), host("c", {}, { seenAtMs })],
    makeGoal({ epoch: 3, generation: 7, switch: { type: "hosts", hosts: ["a", "c"] } }),
  );
  expect(counts).toMatchObject({ epoch: 3, generation: 7, open: 1, openSilent: 1 });
});

test("the first hosts are those with the smallest shares, in order, at most as many as a wave names", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.stringMatching(/^[a-z]{1,8}$/), { maxLength: 300 }),
      fc.string({ maxLength: 8 }),
      (ids, salt) => {
        const { firstHosts } = sum(
          ids.map((id) => host(id)),
          makeGoal({ salt }),
        );
        const expected = ids
          .toSorted((a, b) => hostShare(salt, a) - hostShare(salt, b))
          .slice(0, switchHostsMax);
        expect(firstHosts).toEqual(expected);
      },
    ),
    { numRuns: 20 },
  );
});

test("the list of troubled hosts ends, their count doesn't", () => {
  const hosts = Array.from({ length: troubledHostsMax + 50 }, (_unused, index) =>
    host(`host-${index}`, { failed }),
  );
  const counts = sum(hosts, makeGoal({ rollout: 4 }));
  expect(counts.troubled).toHaveLength(troubledHostsMax);
  expect(counts.releases[0]?.failed).toBe(troubledHostsMax + 50);
});

test("the goal's own releases are counted first, however many others hosts have", () => {
  const many = Array.from(
    { length: 200 },
    (_unused, index) => `rel-${index.toString(16).padStart(32, "0")}`,
  );
  const hosts = many.map((id, index) => host(`host-${index}`, { holding: [id, release.id] }));
  const counts = sum(hosts, makeGoal({ prepare: [release] }));
  expect(counts.releases).toHaveLength(64);
  expect(counts.releases[0]).toMatchObject({ release: release.id, holding: 200 });
});
