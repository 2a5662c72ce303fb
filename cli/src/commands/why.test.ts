import { describe, expect, test } from "vitest";
import type { FetchStatus, HostStatus } from "@shoal/api/seeder";
import { describeWhy } from "./why.ts";

type Waits = NonNullable<FetchStatus["waits"]>;

const waits: Waits = {
  ...{ reason: "requests", piecesMissing: 3, piecesCount: 40, peersLinked: 2, peersKnown: 9 },
  ...{ requests: 1, stillMs: 4000 },
  peers: [{ peer: "12D3KooWa", seeder: true, requests: 1, bytes: 2048, silentMs: 4000 }],
};

function hostWith(
  given: Partial<Waits> | null,
  { seenMsAgo = 100, waitsFor = "" } = {},
): HostStatus {
  const fetch: FetchStatus = {
    ...{ artifact: "bafyartifact", bytes: 10_000, bytesReused: 0, bytesFromSeeders: 5000 },
    ...{ bytesFromPeers: 1000, bytesRefused: 0, durationMs: given === null ? 5 : null },
    waits: given === null ? null : { ...waits, ...given },
  };
  return {
    ...{ host: "host-1", region: "north", zone: "a", labels: {}, peerId: "12D3KooWh", seenMsAgo },
    ...{ agentVersion: "1", fetches: [fetch] },
    services: [
      {
        ...{ environment: "production", service: "web", epoch: 1, generation: 1 },
        ...{ state: "fetching", holding: [], running: null, healthy: false, failed: null },
        ...{ waitsFor, port: null },
      },
    ],
  };
}

describe("why a host isn't done", () => {
  test("names who was asked, since when it is silent, and what would help", () => {
    const text = describeWhy(hostWith({}));
    expect(text).toContain("lacks 3 of 40 pieces; the last chunk came 4.0 s ago");
    expect(text).toContain("asked seeder 12D3KooWa for 2.0 KiB in 1 requests, silent for 4.0 s");
    expect(text).toContain("what would help: nothing yet");
  });

  test("without a peer is told by whether any is known", () => {
    const nobody: Partial<Waits> = { reason: "noPeer", peers: [], peersLinked: 0 };
    expect(describeWhy(hostWith({ ...nobody, peersKnown: 0 }))).toContain("a seeder that answers");
    expect(describeWhy(hostWith({ ...nobody, peersKnown: 4 }))).toContain("swarm port");
  });

  test("that wasn't heard of for long says so first", () => {
    const text = describeWhy(hostWith({}, { seenMsAgo: 90_000 }));
    expect(text.split("\n")[0]).toContain("heard of 1 min 30 s ago");
    expect(text).toContain("see whether its agent runs");
  });

  test("is no question when it is done", () => {
    expect(describeWhy(hostWith(null))).toContain("It waits for nothing.");
    expect(describeWhy(hostWith(null, { waitsFor: "its wave" }))).toContain("waits for its wave");
  });
});
