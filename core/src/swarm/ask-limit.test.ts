import { expect, test } from "vitest";
import { AskLimit } from "./ask-limit.ts";

const stepMs = 50;

/** So many seconds in which as much arrives as `bytesPerMs` says for the hosts that are asked. */
function run(
  limit: AskLimit,
  seconds: number,
  bytesPerMs: (hosts: number) => number,
  from = 0,
): number[] {
  const hosts: number[] = [];
  for (let step = 1; step <= (seconds * 1000) / stepMs; step += 1) {
    limit.bind();
    limit.deliver(bytesPerMs(limit.hosts) * stepMs, from + step * stepMs);
    hosts.push(limit.hosts);
  }
  return hosts;
}

test("more hosts than few are asked now and then, more and more rarely, when they bring no more", () => {
  const limit = new AskLimit({ hostsAsked: 6 });
  const hosts = run(limit, 300, () => 100_000);
  expect(Math.max(...hosts)).toBe(12);
  expect(limit.hosts).toBe(6);
  const trying = (part: readonly number[]): number => part.filter((count) => count > 6).length;
  expect(trying(hosts) / hosts.length).toBeLessThan(0.05);
  expect(trying(hosts.slice(hosts.length / 2))).toBeLessThan(
    trying(hosts.slice(0, hosts.length / 2)),
  );
});

test("as many are asked as it takes where each brings little, and few again when few are enough", () => {
  const limit = new AskLimit({ hostsAsked: 6 });
  run(limit, 60, (hosts) => 1000 * Math.min(hosts, 20));
  expect(limit.hosts).toBe(24);
  const hosts = run(limit, 60, (asked) => (asked >= 24 ? 1000 : 0), 60_000);
  expect(hosts.at(-1)).toBe(24);
  const later: number[] = [];
  for (let second = 0; second < 300; second += 1) {
    limit.deliver(100_000, 120_000 + second * 1000);
    later.push(limit.hosts);
  }
  expect(later.at(-1)).toBe(6);
  expect(Math.min(...later)).toBe(6);
});

test("a silence ends a try", () => {
  const limit = new AskLimit({ hostsAsked: 6 });
  let now = 0;
  while (limit.hosts === 6) {
    now += stepMs;
    limit.bind();
    limit.deliver(1000, now);
  }
  limit.deliver(1_000_000, now + 60_000);
  expect(limit.hosts).toBe(6);
});
