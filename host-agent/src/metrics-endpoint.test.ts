import { expect, onTestFinished, test } from "vitest";
import { createAgentMetrics, type MetricsSources, serveMetrics } from "./metrics-endpoint.ts";

const sources: MetricsSources = {
  traffic: () => ({
    received: [
      { source: "peer", zone: "same", bytes: 700 },
      { source: "seeder", zone: "other", bytes: 300 },
    ],
    refusedBytes: 5,
    sentBytes: 900,
    linksCount: 3,
    requestsCount: 2,
  }),
  reusedBytes: () => 40,
};

test("the agent's metrics say where bytes came from, as often as they are asked for", async () => {
  const metrics = createAgentMetrics();
  metrics.requestAnswered(30);
  const served = await serveMetrics({ metrics, sources }, { host: "127.0.0.1", port: 0 });
  onTestFinished(() => served.stop());
  const url = `http://127.0.0.1:${served.port}`;
  await fetch(`${url}/metrics`);
  const text = await (await fetch(`${url}/metrics`)).text();
  for (const line of [
    'shoal_artifact_bytes_total{source="peer",zone="same",process="agent"} 700',
    'shoal_artifact_bytes_total{source="seeder",zone="other",process="agent"} 300',
    'shoal_artifact_bytes_total{source="reused",zone="same",process="agent"} 40',
    'shoal_refused_bytes_total{process="agent"} 5',
    'shoal_sent_bytes_total{process="agent"} 900',
    'shoal_swarm_links{process="agent"} 3',
    'shoal_requests_in_flight{process="agent"} 2',
    'shoal_request_duration_seconds_count{process="agent"} 1',
  ])
    expect(text).toContain(line);
  expect(text).toContain("process_resident_memory_bytes");
  expect(text).toContain("process_cpu_seconds_total");
  expect((await fetch(`${url}/secrets`)).status).toBe(404);
});
