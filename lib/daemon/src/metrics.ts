// Prometheus metrics of one process: a registry of its own (never the library's global one), with
// the runtime's default metrics and a prefix on ours.
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";

export interface Metrics {
  counter<Label extends string>(
    name: string,
    help: string,
    labels?: readonly Label[],
  ): Counter<Label>;
  gauge<Label extends string>(name: string, help: string, labels?: readonly Label[]): Gauge<Label>;
  histogram<Label extends string>(
    name: string,
    help: string,
    buckets: readonly number[],
    labels?: readonly Label[],
  ): Histogram<Label>;
  /** What `GET /metrics` answers. */
  render(): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** Names are given without the prefix `shoal_`, and end in their unit (`_seconds`, `_bytes`, `_total`). */
export function createMetrics(processName: string): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ process: processName });
  collectDefaultMetrics({ register: registry });
  const base = (name: string, help: string) => ({
    name: `shoal_${name}`,
    help,
    registers: [registry],
  });
  return {
    counter: (name, help, labels = []) => new Counter({ ...base(name, help), labelNames: labels }),
    gauge: (name, help, labels = []) => new Gauge({ ...base(name, help), labelNames: labels }),
    histogram: (name, help, buckets, labels = []) =>
      new Histogram({ ...base(name, help), buckets: [...buckets], labelNames: labels }),
    render: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  };
}
