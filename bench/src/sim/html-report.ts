// A page that shows runs side by side: when their hosts were done, and where the bytes came from. One
// file without anything from elsewhere.
import type { Bytes, Millis } from "@shoal/core/units";

export interface ReportedRun {
  readonly name: string;
  /** From each host's joining to its end, ascending; Infinity for those that didn't finish. */
  readonly tookMs: readonly Millis[];
  readonly bytesFromSeeders: Bytes;
  readonly bytesFromPeers: Bytes;
}

const widthPx = 720;
const heightPx = 320;
const colors = ["#0b6e99", "#c4572b", "#5b8c2a", "#7a4fa3", "#777777"];
/** Points of one curve: more can't be seen. */
const pointsMax = 400;

export function htmlReport(
  title: string,
  boundMs: Millis,
  runs: readonly ReportedRun[],
  settings: Readonly<Record<string, unknown>>,
): string {
  const [first] = runs;
  // Others may take a hundred times as long: the page shows three times ours, and says the rest.
  const lastOfFirst = first === undefined ? boundMs : lastFinite(first.tookMs);
  const untilMs = Math.min(
    3 * lastOfFirst,
    Math.max(...runs.map(({ tookMs }) => lastFinite(tookMs))),
  );
  const rows = runs.map((run, index) => rowOf(run, colorOf(index), boundMs));
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title>
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:${widthPx + 40}px;margin:2em auto;padding:0 1em}
table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:right}td:first-child,th:first-child{text-align:left}
pre{white-space:pre-wrap}</style></head><body>
<h1>${escaped(title)}</h1>
<h2>Hosts that are done, by time since they joined</h2>
${curves(runs, untilMs, boundMs)}
<table><tr><th></th><th>p50, s</th><th>p99, s</th><th>last, s</th><th>last over bound</th></tr>
${rows.join("\n")}</table>
<h2>Bytes by source</h2>
${sources(runs)}
<h2>World</h2><pre>${escaped(JSON.stringify(settings, undefined, 2))}</pre>
</body></html>
`;
}

function curves(runs: readonly ReportedRun[], untilMs: Millis, boundMs: Millis): string {
  const x = (ms: Millis): string => ((Math.min(ms, untilMs) / untilMs) * widthPx).toFixed(1);
  const y = (share: number): string => (heightPx * (1 - share)).toFixed(1);
  const lines = runs.map(({ tookMs }, index) => {
    const step = Math.max(1, Math.floor(tookMs.length / pointsMax));
    const points = [`0,${y(0)}`];
    for (let host = 0; host < tookMs.length; host += step) {
      const ms = tookMs[host] ?? Infinity;
      if (ms > untilMs) break;
      points.push(`${x(ms)},${y((host + 1) / tookMs.length)}`);
    }
    return `<polyline fill="none" stroke="${colorOf(index)}" stroke-width="2" points="${points.join(" ")}"/>`;
  });
  const bound = `<line x1="${x(boundMs)}" x2="${x(boundMs)}" y1="0" y2="${heightPx}" stroke="#999" stroke-dasharray="4"/>`;
  const axis = `<text x="0" y="${heightPx + 18}">0 s</text><text x="${widthPx}" y="${heightPx + 18}" text-anchor="end">${seconds(untilMs)} s</text>`;
  return `<svg viewBox="-4 -4 ${widthPx + 8} ${heightPx + 30}" role="img" aria-label="completion curves">
<rect width="${widthPx}" height="${heightPx}" fill="none" stroke="#ccc"/>${bound}${lines.join("\n")}${axis}</svg>
<p>Dashed: the bound, ${seconds(boundMs)} s.</p>`;
}

function sources(runs: readonly ReportedRun[]): string {
  const rows = runs.map(({ name, bytesFromSeeders, bytesFromPeers }, index) => {
    const total = bytesFromSeeders + bytesFromPeers;
    const share = total === 0 ? 0 : bytesFromSeeders / total;
    const width = (widthPx / 2) * share;
    const bar = `<svg width="${widthPx / 2}" height="14"><rect width="${widthPx / 2}" height="14" fill="#ddd"/><rect width="${width}" height="14" fill="${colorOf(index)}"/></svg>`;
    const gib = (bytes: Bytes): string => (bytes / 2 ** 30).toFixed(1);
    return `<tr><td>${escaped(name)}</td><td>${gib(bytesFromSeeders)}</td><td>${gib(bytesFromPeers)}</td><td>${bar}</td></tr>`;
  });
  return `<table><tr><th></th><th>seeders or bucket, GiB</th><th>hosts, GiB</th><th>share of the former</th></tr>
${rows.join("\n")}</table>`;
}

function rowOf({ name, tookMs }: ReportedRun, color: string, boundMs: Millis): string {
  const at = (share: number): Millis =>
    tookMs[Math.min(tookMs.length - 1, Math.floor(share * tookMs.length))] ?? Infinity;
  const last = at(1);
  const cells = [at(0.5), at(0.99), last].map((ms) => `<td>${seconds(ms)}</td>`).join("");
  return `<tr><td style="color:${color}">${escaped(name)}</td>${cells}<td>${(last / boundMs).toFixed(3)}</td></tr>`;
}

function lastFinite(tookMs: readonly Millis[]): Millis {
  return tookMs.findLast((ms) => ms < Infinity) ?? 1;
}

function colorOf(index: number): string {
  return colors[index % colors.length] as string;
}

function seconds(ms: Millis): string {
  return (ms / 1000).toFixed(1);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
