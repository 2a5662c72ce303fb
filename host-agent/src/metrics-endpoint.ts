// The agent's Prometheus endpoint: `GET /metrics`, without a login, so on the loopback unless configured.
// Sums are read from their owners when somebody asks, so that counting costs nothing in between.
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { ShoalError } from "@shoal/core/error";
import { answerSilentMsMax } from "@shoal/core/limits";
import type { Millis } from "@shoal/core/units";
import { createMetrics } from "@shoal/daemon/metrics";
import type { TrafficTotals } from "@shoal/peer/traffic";

export interface MetricsSources {
  readonly traffic: () => TrafficTotals;
  /** Bytes taken from older releases on disk, since the start. */
  readonly reusedBytes: () => number;
}

export interface AgentMetrics {
  /** A request to a peer was answered whole. */
  requestAnswered(ms: Millis): void;
  /** What `GET /metrics` answers. */
  render(sources: MetricsSources): Promise<{ readonly contentType: string; readonly body: string }>;
}

const latencyBuckets = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function createAgentMetrics(): AgentMetrics {
  const metrics = createMetrics("agent");
  const received = metrics.counter(
    "artifact_bytes_total",
    "Verified bytes of artifacts by where they came from.",
    ["source", "zone"],
  );
  const refused = metrics.counter("refused_bytes_total", "Received bytes with another hash.");
  const sent = metrics.counter("sent_bytes_total", "Bytes of artifacts sent to peers.");
  const links = metrics.gauge("swarm_links", "Open links to peers and seeders.");
  const requests = metrics.gauge("requests_in_flight", "Requests that aren't answered yet.");
  const latency = metrics.histogram(
    "request_duration_seconds",
    "From asking for chunks of a piece until the last of them is here.",
    latencyBuckets,
  );
  return {
    requestAnswered: (ms) => latency.observe(ms / 1000),
    render: async ({ traffic, reusedBytes }) => {
      const totals = traffic();
      received.reset();
      for (const { source, zone, bytes } of totals.received) received.inc({ source, zone }, bytes);
      received.inc({ source: "reused", zone: "same" }, reusedBytes());
      refused.reset();
      refused.inc(totals.refusedBytes);
      sent.reset();
      sent.inc(totals.sentBytes);
      links.set(totals.linksCount);
      requests.set(totals.requestsCount);
      return metrics.render();
    },
  };
}

/** Listens, or throws `listen_failed`. */
export async function serveMetrics(
  { metrics, sources }: { readonly metrics: AgentMetrics; readonly sources: MetricsSources },
  { host, port }: { readonly host: string; readonly port: number },
): Promise<{ readonly port: number; stop(): Promise<void> }> {
  const server = createServer((request, response) => {
    if (request.method !== "GET" || request.url !== "/metrics") {
      response.writeHead(404).end();
      return;
    }
    metrics.render(sources).then(
      ({ contentType, body }) => response.writeHead(200, { "content-type": contentType }).end(body),
      () => response.writeHead(500).end(),
    );
  });
  server.requestTimeout = answerSilentMsMax;
  try {
    server.listen(port, host);
    await once(server, "listening");
  } catch (cause) {
    throw new ShoalError("listen_failed", `Can't listen on ${host} port ${port}.`, {
      blame: "environment",
      hint: "Is the port in use? Leave metricsPort out for no metrics.",
      cause,
    });
  }
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
