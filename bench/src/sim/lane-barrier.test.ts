import { expect, test } from "vitest";
import { Worker } from "node:worker_threads";
import { LaneBarrier, barrierMemory, othersFailed } from "./lane-barrier.ts";

/** Meets the other lane so many times, each time noting how far both are; answers how often they were apart. */
const lane = `
  import { workerData, parentPort } from "node:worker_threads";
  const { url, memory, counts, index, meetings } = workerData;
  const { LaneBarrier } = await import(url);
  const barrier = new LaneBarrier(memory, 2);
  const counted = new Int32Array(counts);
  let apart = 0;
  for (let meeting = 1; meeting <= meetings; meeting += 1) {
    Atomics.store(counted, index, meeting);
    barrier.meet();
    if (Atomics.load(counted, 1 - index) !== meeting) apart += 1;
    barrier.meet();
    // Who comes late makes the other sleep.
    if (meeting % 2 === index) Atomics.wait(counted, 2, 0, 3);
  }
  parentPort.postMessage(apart);
`;

test("two threads are never apart, also when one is woken for nothing", async () => {
  const url = new URL("lane-barrier.ts", import.meta.url).href;
  const shared = {
    url,
    memory: barrierMemory(),
    counts: new SharedArrayBuffer(16),
    meetings: 100,
  };
  const lanes = [0, 1].map((index) => {
    const code = new URL(`data:text/javascript,${encodeURIComponent(lane)}`);
    const worker = new Worker(code, { workerData: { ...shared, index } });
    return new Promise((resolve, reject) => {
      worker.on("message", resolve);
      worker.on("error", reject);
    });
  });
  const words = new Int32Array(shared.memory);
  const waker = setInterval(() => {
    for (let word = 0; word < words.length; word += 1) Atomics.notify(words, word);
  }, 1);
  expect(await Promise.all(lanes)).toEqual([0, 0]);
  clearInterval(waker);
});

test("nobody waits for one that failed", () => {
  const barrier = new LaneBarrier(barrierMemory(), 2);
  barrier.fail();
  expect(() => barrier.meet()).toThrow(othersFailed);
});
