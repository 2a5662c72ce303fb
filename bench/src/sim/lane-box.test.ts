import { expect, test } from "vitest";
import { EventQueue } from "./event-queue.ts";
import { eventListMax, eventListValueMax } from "./event-records.ts";
import { AskedBytes, LaneBox, laneBoxMemory } from "./lane-box.ts";
import { Mail } from "./mail.ts";
import { Messages } from "./messages.ts";
import type { Lane } from "./lane.ts";

const plain = { isSeeder: false, isSlow: false, isLying: false, isSilent: false };
const sites = Array.from({ length: 6 }, (_unused, index) => ({
  index,
  known: { peerId: `peer-${index}`, addresses: ["/sim"], zone: "zone-0", seeder: false },
  nature: plain,
}));

/** Two lanes' mail; hosts with even numbers are the first one's. */
function twoLanes(): readonly { mail: Mail; queue: EventQueue; messages: Messages; lane: Lane }[] {
  const [there, back] = [laneBoxMemory(), laneBoxMemory()];
  return [0, 1].map((index) => {
    const [out, into] = index === 0 ? [there, back] : [back, there];
    const boxes = (memory: SharedArrayBuffer): (LaneBox | undefined)[] =>
      index === 0 ? [undefined, new LaneBox(memory)] : [new LaneBox(memory), undefined];
    const lane = { index, count: 2, outboxes: boxes(out), inboxes: boxes(into) };
    const [queue, messages] = [new EventQueue(), new Messages()];
    const deps = {
      ...{ lane, queue, messages, sites },
      indexOf: (peerId: string): number => Number(peerId.slice("peer-".length)),
      isMessage: (kind: number): boolean => kind === 3,
    };
    return { mail: new Mail(deps), queue, messages, lane };
  });
}

test("events, lists and messages come to the lane of their host, and what it keeps is its own", () => {
  const [one, two] = twoLanes();
  if (one === undefined || two === undefined) throw new Error("two lanes");
  const list = Uint32Array.from({ length: eventListMax }, (_unused, at) => eventListValueMax - at);
  const about = { link: 7, artifact: 1 };
  one.mail.post(5, 6, 3, 1, 2, 4, 5);
  expect(one.mail.postList(4, 9, 1, 8, list, list.length, eventListValueMax)).toBe(true);
  expect(one.mail.postList(4, 9, 1, 8, list, list.length, eventListValueMax + 1)).toBe(false);
  const pieces = Uint8Array.of(1, 2, 3);
  one.mail.say(3, 3, 5, 7, { type: "bitfield", ...about, pieces });
  one.mail.say(2, 3, 5, 7, { type: "haves", ...about, pieces: list, count: 2 });
  const peers = sites.slice(2, 4).map(({ known }) => known);
  one.mail.say(1, 3, 5, 7, { type: "peers", ...about, peers });
  one.mail.post(6, 6, 4, 1);
  two.mail.take();
  one.lane.outboxes[1]?.clear();
  expect(one.queue.size).toBe(1);

  const told = [1, 2, 3].map((at) => {
    expect(two.queue.next()).toBe(true);
    expect([two.queue.at, two.queue.a, two.queue.b]).toEqual([at, 5, 7]);
    return two.messages.at(two.queue.c);
  });
  expect(told[0]).toMatchObject({ type: "candidatesOffered", link: 7, peers });
  expect(told[1]).toMatchObject({ type: "havesReceived", count: 2 });
  expect(told[2]).toMatchObject({ type: "bitfieldReceived", pieces });
  expect(two.queue.next()).toBe(true);
  const read = new Uint32Array(eventListMax);
  expect([two.queue.kind, two.queue.readList(read)]).toEqual([9, eventListMax]);
  expect(read).toEqual(list);
  expect(two.queue.next()).toBe(true);
  const { kind, a, b, c, d, e } = two.queue;
  expect([kind, a, b, c, d, e]).toEqual([6, 3, 1, 2, 4, 5]);
  expect(two.queue.next()).toBe(false);
  two.mail.take();
  expect(two.queue.size).toBe(0);
});

test("questions about ways down are answered in their order", () => {
  const memory = laneBoxMemory();
  const [asker, owner] = [new LaneBox(memory), new LaneBox(memory)];
  const asked = new AskedBytes();
  asked.add(1, 2, asker, asker.ask(4, 10, 100, 11));
  asked.add(3, 0, asker, asker.ask(2, 20, 200, 21));
  owner.answer((to, beginsMs, bytes, soonestMs) => to + beginsMs + bytes + soonestMs);
  const taken: number[][] = [];
  asked.takeAll((from, flow, outMs) => taken.push([from, flow, outMs]));
  expect(taken).toEqual([
    [1, 2, 125],
    [3, 0, 243],
  ]);
  asker.clear();
  expect(owner.arrivalsCount).toBe(0);
  asked.takeAll(() => expect.unreachable());
});
