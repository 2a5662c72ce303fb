import { announceMs, membersPerArtifactMax, peersHandedOutMax } from "@shoal/core/limits";
import { Prng } from "@shoal/core/prng";
import fc from "fast-check";
import { expect, test } from "vitest";
import { MemberTable, type Member } from "./member-table.ts";

const cid = "artifact";

function member(id: string, zone = "a"): Member {
  return { peerId: id, swarmAddresses: ["/ip4/127.0.0.1/tcp/1"], zone, share: 0 };
}

function table(members: readonly Member[]): MemberTable {
  const made = new MemberTable(new Prng(7));
  for (const one of members) made.announce(cid, one, 0);
  return made;
}

const asker = { peerId: "asker", zone: "a" };

test("most of a sample is of the asker's zone, and some of it never is", () => {
  const near = Array.from({ length: 100 }, (_unused, index) => member(`near-${index}`));
  const far = Array.from({ length: 100 }, (_unused, index) =>
    member(`far-${index}`, `b${index % 3}`),
  );
  const sample = table([...near, ...far]).sample(cid, asker, 16);
  expect(sample).toHaveLength(16);
  expect(sample.filter(({ zone }) => zone === "a")).toHaveLength(12);
});

test("who is alone in its zone gets peers of others", () => {
  const far = Array.from({ length: 30 }, (_unused, index) => member(`far-${index}`, "b"));
  expect(table(far).sample(cid, asker, 16)).toHaveLength(16);
});

test("nobody is told of itself, of anybody twice, or of more peers than a seeder hands out", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(60), fc.constantFrom("a", "b", "c"))),
      fc.nat(64),
      (announced, want) => {
        const members = announced.map(([id, zone]) => member(`m${id}`, zone));
        const sample = table([...members, member("asker")]).sample(cid, asker, want);
        const ids = sample.map(({ peerId }) => peerId);
        const others = new Set(members.map(({ peerId }) => peerId)).size;
        expect(new Set(ids).size).toBe(ids.length);
        expect(ids).not.toContain("asker");
        expect(ids).toHaveLength(Math.min(want, peersHandedOutMax, others));
      },
    ),
  );
});

test("every member is handed out about as often as any other", () => {
  const members = Array.from({ length: 40 }, (_unused, index) => member(`m${index}`));
  const crowd = table(members);
  const counts = new Map<string, number>();
  for (let round = 0; round < 2000; round += 1)
    for (const { peerId } of crowd.sample(cid, asker, 8))
      counts.set(peerId, (counts.get(peerId) ?? 0) + 1);
  // 400 each on average; four deviations of a binomial distribution are about 72.
  for (const { peerId } of members) {
    expect(counts.get(peerId)).toBeGreaterThan(320);
    expect(counts.get(peerId)).toBeLessThan(480);
  }
});

test("a member that moved or says something new is there once, as it said last", () => {
  const members = table([member("x", "b"), member("y", "b")]);
  members.announce(cid, { ...member("x", "a"), share: 0.5 }, 1);
  const found = members.sample(cid, asker, 8).filter(({ peerId }) => peerId === "x");
  expect(found).toMatchObject([{ zone: "a", share: 0.5 }]);
});

test("members that fell silent are forgotten, and swarms without any", () => {
  const members = table([member("old")]);
  members.announce(cid, member("new"), announceMs);
  members.expire(3 * announceMs);
  expect(members.sample(cid, asker, 8).map(({ peerId }) => peerId)).toEqual(["new"]);
  members.expire(4 * announceMs);
  expect(members.sample(cid, asker, 8)).toEqual([]);
});

test("beyond the limit a newcomer takes the place of the oldest", () => {
  const members = new MemberTable(new Prng(1));
  for (let index = 0; index <= membersPerArtifactMax; index += 1)
    members.announce(cid, member(`m${index}`, index === 0 ? "first" : "a"), 0);
  const first = members.sample(cid, { peerId: "asker", zone: "first" }, 1);
  expect(first[0]?.zone).toBe("a");
});

test("the next announce is asked for at different times, half a period around the usual one", () => {
  const members = new MemberTable(new Prng(1));
  const times = Array.from({ length: 100 }, () => members.nextAnnounceMs());
  expect(new Set(times).size).toBeGreaterThan(50);
  expect(Math.min(...times)).toBeGreaterThanOrEqual(0.75 * announceMs);
  expect(Math.max(...times)).toBeLessThanOrEqual(1.25 * announceMs);
});
