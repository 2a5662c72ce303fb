import { expect, test } from "vitest";
import { createMetrics } from "./metrics.ts";

test("metrics of two processes in one don't mix, and carry prefix, process and labels", async () => {
  const [one, two] = [createMetrics("one"), createMetrics("two")];
  one.counter("builds_total", "Builds.", ["state"]).inc({ state: "FAILED" }, 2);
  two.gauge("hosts", "Hosts.").set(5);
  two.histogram("fetch_seconds", "Fetches.", [1, 2]).observe(1.5);
  const [first, second] = await Promise.all([one.render(), two.render()]);
  expect(first.contentType).toMatch(/^text\/plain/);
  expect(first.body).toContain('shoal_builds_total{state="FAILED",process="one"} 2');
  expect(first.body).not.toContain("shoal_hosts");
  expect(second.body).toContain('shoal_hosts{process="two"} 5');
  expect(second.body).toContain('shoal_fetch_seconds_bucket{le="2",process="two"} 1');
  expect(second.body).toContain("process_cpu_seconds_total");
});
