import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { StateFile } from "@shoal/daemon/atomic-file";
import { createLog } from "@shoal/daemon/log";
import type { PeerCandidate } from "@shoal/peer/peer-node";
import { createKey } from "@shoal/trust/key-file";
import { startAnnouncing } from "./artifacts/announcing.ts";
import { KnownPeers } from "./known-peers.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shoal-peers-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const log = createLog("test", "fatal");
const peer = (...swarmAddresses: readonly string[]): PeerCandidate => ({
  ...{ peerId: createKey().peerId, swarmAddresses, zone: "a", seeder: false },
});
const path = (): string => join(dir, "peers.json");

async function peersOf(linked: readonly PeerCandidate[]): Promise<KnownPeers> {
  const file = new StateFile(path(), 1e6);
  const known = new KnownPeers({ file, node: { linkedPeers: () => linked }, log });
  await known.start();
  return known;
}

test("peers that were linked are known after a restart, those that can't be dialed are not", async () => {
  const linked = [peer("/ip4/127.0.0.1/tcp/1"), peer()];
  const first = await peersOf(linked);
  await vi.waitFor(() => readFile(path()));
  await first.stop();
  const second = await peersOf([]);
  expect(second.peers()).toEqual(linked.slice(0, 1));
  await second.stop();
});

test("a file of peers that isn't one is as good as none", async () => {
  await writeFile(path(), '{"peers":[{"peerId":"x"}]}');
  const known = await peersOf([]);
  expect(known.peers()).toEqual([]);
  await known.stop();
});

test("when no seeder answers, peers of an earlier life and what they know are offered", async () => {
  const [known, found] = [peer("/ip4/127.0.0.1/tcp/1"), peer("/ip4/127.0.0.1/tcp/2")];
  const offered: PeerCandidate[] = [];
  const announcing = startAnnouncing(
    {
      node: { addresses: () => [], findPeers: async () => [found] },
      knownPeers: () => [known],
      seeders: { ask: () => Promise.reject(new Error("nobody there")) },
      membership: {
        addPeers: (peers) => offered.push(...peers),
        setPaused: () => undefined,
        reused: () => undefined,
        reuseFailed: () => undefined,
        progress: () => ({ chunksHeld: 0 }) as never,
        done: Promise.resolve(),
        leave: async () => undefined,
      },
    },
    { cid: "bafyartifact", chunksCount: 8 },
  );
  await vi.waitFor(() => expect(offered).toEqual([known, found]));
  await announcing.stop();
});

test("a host with links that gets on sends nobody searching, and one that doesn't does", async () => {
  let failures = 0;
  const failuresBeforeSearch: number[] = [];
  const findPeers = async (): Promise<readonly PeerCandidate[]> => {
    failuresBeforeSearch.push(failures);
    return [];
  };
  const announcing = startAnnouncing(
    {
      node: { addresses: () => [], findPeers },
      knownPeers: () => [],
      seeders: {
        ask: () => {
          failures += 1;
          return Promise.reject(new Error("busy"));
        },
      },
      membership: {
        addPeers: () => undefined,
        setPaused: () => undefined,
        reused: () => undefined,
        reuseFailed: () => undefined,
        progress: () => ({ chunksHeld: 3, links: 9 }) as never,
        done: Promise.resolve(),
        leave: async () => undefined,
      },
    },
    { cid: "bafyartifact", chunksCount: 8 },
  );
  await vi.waitFor(() => expect(failuresBeforeSearch[0]).toBe(2), 5000);
  await announcing.stop();
});
