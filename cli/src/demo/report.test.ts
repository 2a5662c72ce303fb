import type { HostStatus } from "@shoal/api/seeder";
import { describe, expect, test } from "vitest";
import { renderFacts, sumFetches, type DemoFacts } from "./report.ts";

function host(name: string, fetches: readonly (readonly [string, number, number, number])[]) {
  return {
    host: name,
    region: "eu-central",
    zone: "a",
    seenMsAgo: 5,
    services: [
      {
        environment: "production",
        service: "greeter",
        state: "healthy",
        running: "r1",
        healthy: true,
        waitsFor: "",
        failed: null,
      },
    ],
    fetches: fetches.map(([artifact, bytesFromSeeders, bytesFromPeers, bytesReused]) => ({
      artifact,
      bytesFromSeeders,
      bytesFromPeers,
      bytesReused,
    })),
  } as unknown as HostStatus;
}

const mebibyte = 1024 ** 2;

function facts(differences: Partial<DemoFacts> = {}): DemoFacts {
  const build = {
    id: 1,
    version: "v1",
    commit: "0123456789abcdef0123456789abcdef01234567",
    state: "SUCCEEDED",
    artifactBytes: 64 * mebibyte,
    bytesUploaded: 32 * mebibyte,
    createdAt: "2026-11-21T00:00:00.000Z",
    leasedAt: "2026-11-21T00:00:01.000Z",
    publishedAt: "2026-11-21T00:00:03.500Z",
    endedAt: null,
    regionsHolding: ["eu-central", "us-east"],
  } as unknown as DemoFacts["builds"][number];
  return {
    ok: true,
    seconds: 20,
    service: "greeter",
    builds: [build],
    deploys: [
      {
        version: "v1",
        commit: build.commit,
        rollout: 1,
        state: "SUCCEEDED",
        reason: "all hosts are healthy",
        hosts: 2,
        converged: 2,
        seconds: 4,
        prepareSeconds: 1.5,
        switchSeconds: 2.5,
        bytesFromSeeders: 64 * mebibyte,
        bytesFromPeers: 64 * mebibyte,
        bytesReused: 0,
      },
    ],
    hosts: [host("host-1", [["a", 10, 20, 30]]), host("host-2", [["a", 1, 2, 3]])],
    versions: { r1: "v1" },
    refusal: null,
    ...differences,
  };
}

describe("the demo's sums", () => {
  test("count one artifact's bytes over all hosts, and no other's", () => {
    const hosts = [
      host("host-1", [
        ["a", 10, 20, 30],
        ["b", 1000, 1000, 1000],
      ]),
      host("host-2", [["a", 1, 2, 3]]),
      host("host-3", []),
    ];
    expect(sumFetches(hosts, "a")).toEqual({
      bytesFromSeeders: 11,
      bytesFromPeers: 22,
      bytesReused: 33,
    });
  });
});

describe("the demo's tables", () => {
  function lines(differences: Partial<DemoFacts>): readonly string[] {
    return renderFacts(facts(differences))
      .split("\n")
      .map((line) => line.replaceAll(/ {2,}/g, "|"));
  }

  test("show builds, deploys and hosts, with the stages that have ended", () => {
    const text = lines({});
    expect(text).toContain(
      "v1|0123456789|SUCCEEDED|64.0 MiB|32.0 MiB|1.0 s|2.5 s|eu-central, us-east",
    );
    expect(text).toContain("v1|SUCCEEDED|2/2|64.0 MiB|64.0 MiB|0 B|1.5 s|2.5 s");
    expect(text).toContain("eu-central|host-1|production/greeter|v1|healthy|10 B|20 B");
  });

  test("say why a rollout didn't succeed, and that its release is refused", () => {
    const [deploy] = facts().deploys;
    if (deploy === undefined) throw new Error("the sample has a deploy");
    const text = lines({
      deploys: [{ ...deploy, state: "FAILED", reason: "host-1 failed" }],
      refusal: "it is quarantined",
    });
    expect(text).toContainEqual(expect.stringMatching(/FAILED.*host-1 failed$/));
    expect(text.at(-1)).toBe("Deployed once more, the last version was refused: it is quarantined");
  });

  test("show a host that runs nothing as one", () => {
    const [one] = facts().hosts;
    if (one === undefined) throw new Error("the sample has a host");
    const idle = { ...one, services: [], fetches: [] };
    expect(lines({ hosts: [idle] })).toContainEqual(
      expect.stringMatching(/^eu-central\|host-1\|nothing\|unknown\|0 B\|0 B$/),
    );
  });

  test("show with a host that isn't healthy what it said", () => {
    const [one] = facts().hosts;
    const [service] = one?.services ?? [];
    if (one === undefined || service === undefined) throw new Error("the sample has a host");
    const failed = { rollout: 1, release: "r1", code: "exited", message: "It exited with 1." };
    const stopped = {
      ...service,
      healthy: false,
      running: null,
      state: "stopped" as const,
      failed,
    };
    expect(lines({ hosts: [{ ...one, services: [stopped] }] })).toContainEqual(
      expect.stringMatching(/\|nothing\|stopped\|10 B\|20 B\|It exited with 1\.$/),
    );
  });
});
