import net from "node:net";
import { beforeAll, expect, test, vi } from "vitest";

// Imported here and not on top: it replaces globals of this test file's worker.
beforeAll(async () => {
  await import("./pure-core.ts");
});

test("refuses the network and real time to code of ours", () => {
  expect(() => net.connect(1)).toThrow("net.connect was called");
  expect(() => fetch("http://127.0.0.1:1")).toThrow("fetch was called");
  expect(() => setTimeout(() => undefined, 1)).toThrow("setTimeout was called");
  expect(() => setInterval(() => undefined, 1)).toThrow("setInterval was called");
  expect(() => setImmediate(() => undefined)).toThrow("setImmediate was called");
});

test("lets a test use fake timers", () => {
  vi.useFakeTimers();
  const ring = vi.fn();
  setTimeout(ring, 100);
  vi.advanceTimersByTime(100);
  expect(ring).toHaveBeenCalledOnce();
  vi.useRealTimers();
});
