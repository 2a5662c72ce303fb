// Everybody from one source, without a swarm: the source's rate is shared evenly, and no host takes more
// than its own. Exact, from one change to the next; knows nothing of latency or losses, so it is the
// best that such a source could do.
import type { Bytes, Millis } from "@shoal/core/units";

export interface Taker {
  readonly joinMs: Millis;
  readonly bytesPerMs: number;
}

/** How long each host takes from its joining, ascending. Quadratic in the hosts at worst. */
export function fairShareMs(
  takers: readonly Taker[],
  bytes: Bytes,
  sourceBytesPerMs: number,
): readonly Millis[] {
  // Less than a byte is nothing: sums of fractions.
  const nothingBytes = 1;
  const waiting = takers.toSorted((a, b) => b.joinMs - a.joinMs);
  let active: { readonly taker: Taker; leftBytes: Bytes }[] = [];
  const tookMs: Millis[] = [];
  let now: Millis = 0;
  while (waiting.length > 0 || active.length > 0) {
    for (let next = waiting.at(-1); next !== undefined && next.joinMs <= now;) {
      active.push({ taker: next, leftBytes: bytes });
      waiting.pop();
      next = waiting.at(-1);
    }
    const rates = sharesOf(
      active.map(({ taker }) => taker.bytesPerMs),
      sourceBytesPerMs,
    );
    let untilMs = waiting.at(-1)?.joinMs ?? Infinity;
    for (const [index, { leftBytes }] of active.entries()) {
      untilMs = Math.min(untilMs, now + leftBytes / (rates[index] as number));
    }
    for (const [index, host] of active.entries()) {
      host.leftBytes -= (untilMs - now) * (rates[index] as number);
      if (host.leftBytes < nothingBytes) tookMs.push(untilMs - host.taker.joinMs);
    }
    active = active.filter(({ leftBytes }) => leftBytes >= nothingBytes);
    now = untilMs;
  }
  return tookMs.toSorted((a, b) => a - b);
}

/** Even shares of a rate; what one host can't take is shared among the others. */
function sharesOf(caps: readonly number[], rate: number): readonly number[] {
  const shares = Array.from(caps, () => 0);
  const byCap = [...caps.keys()].toSorted((a, b) => (caps[a] as number) - (caps[b] as number));
  let left = rate;
  for (const [place, index] of byCap.entries()) {
    const share = Math.min(caps[index] as number, left / (byCap.length - place));
    shares[index] = share;
    left -= share;
  }
  return shares;
}
