import { expect, test } from "vitest";
import { Script, smallPieces } from "./script.test-kit.ts";

const many = smallPieces(60);

/** Five hosts that have everything; of these, `hostsAsked` are asked at once, for a piece at a time. */
function fivePeers(hostsAsked: number): Script {
  const script = new Script(many, { hostsAsked, windowBytesMin: 1, windowBytesMax: 1 });
  script.joinArtifact();
  for (let link = 1; link <= 5; link += 1) script.openPeer(link, "all");
  return script;
}

test("no more hosts are asked at once than it says, and the next when half of the turns are free", () => {
  const script = new Script(many, { hostsAsked: 4, windowBytesMin: 1, windowBytesMax: 1 });
  script.joinArtifact();
  // All but the last have nothing more once they have answered.
  for (let link = 1; link <= 4; link += 1) script.openPeer(link, [link]);
  script.openPeer(5, "all");
  const [first, second, third, fourth, ...more] = script.take("request");
  expect([third?.link, fourth?.link, more]).toEqual([3, 4, []]);
  if (first === undefined || second === undefined) throw new Error("two requests");
  expect(script.deliver(first).take("request")).toEqual([]);
  expect(script.deliver(second).take("request")).toMatchObject([{ link: 5 }]);
});

test("who has answered and has room needn't wait for others", () => {
  const script = fivePeers(4);
  const [first] = script.take("request");
  if (first === undefined) throw new Error("a request");
  script.deliver(first);
  expect(script.take("request").map(({ link }) => link)).toEqual([first.link]);
});

test("those that wait are asked in turn", () => {
  const script = fivePeers(2);
  const asked = script.take("request");
  expect(asked).toHaveLength(2);
  const [first] = asked;
  if (first === undefined) throw new Error("a request");
  // It is gone in the middle: its turn is another's.
  script.tell({ type: "linkClosed", link: first.link });
  expect(script.take("request").map(({ link }) => link)).toEqual([3]);
});

test("a host that takes long keeps nobody from being asked", () => {
  const script = fivePeers(2);
  // What is usual: 100 ms.
  for (let round = 0; round < 10; round += 1) {
    script.wait(100);
    for (const order of script.take("request")) script.deliver(order);
  }
  const links = new Set(script.take("request").map(({ link }) => link));
  expect(links.size).toBe(2);
  script.wait(250);
  expect(script.take("request")).toEqual([]);
  script.wait(100);
  const later = script.take("request").map(({ link }) => link);
  expect(later).toHaveLength(2);
  expect(later.every((link) => !links.has(link))).toBe(true);
});

test("a seeder is asked besides", () => {
  const script = new Script(many, { hostsAsked: 1, windowBytesMin: 1, windowBytesMax: 1 });
  script.joinArtifact().openPeer(1, [0]).openPeer(2, [1]).openPeer(3, [2], { seeder: true });
  expect(script.take("request").map(({ link }) => link)).toEqual([1, 3]);
});
