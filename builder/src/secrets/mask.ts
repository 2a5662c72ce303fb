// Takes secrets out of what leaves the builder. A secret is found wherever it lies in the stream, also
// across any number of writes: bytes that may be the beginning of one are held back until what follows
// decides. Every byte of every occurrence is covered, also where two overlap; each covered run becomes
// one `***`.
import { secretBytesMin } from "@shoal/core/limits";
import { spellingsOf } from "./spellings.ts";

const cover = new TextEncoder().encode("***");

/** What is secret at the moment. */
export class SecretMask {
  readonly #secrets: Map<string, readonly Uint8Array[]> = new Map();
  /** Spellings by their first two bytes; and for each such pair whether there are any, because most text has none. */
  #byPair: Map<number, Uint8Array[]> = new Map();
  #pairs: Uint8Array = new Uint8Array(65_536);

  /** Adds a secret, or replaces the one of that name. Ones under `secretBytesMin` would cover half of all text and are left alone. */
  set(name: string, secret: string | Uint8Array): void {
    const bytes = typeof secret === "string" ? new TextEncoder().encode(secret) : secret;
    this.#secrets.set(name, spellingsOf(bytes));
    this.#byPair = new Map();
    this.#pairs = new Uint8Array(65_536);
    for (const spelling of [...this.#secrets.values()].flat()) {
      const pair = pairAt(spelling, 0);
      this.#byPair.set(pair, [...(this.#byPair.get(pair) ?? []), spelling]);
      this.#pairs[pair] = 1;
    }
  }

  /** A text of its own, such as an error's message. */
  text(text: string): string {
    const stream = new MaskedStream(this);
    const bytes = [stream.push(new TextEncoder().encode(text)), stream.end()];
    return Buffer.concat(bytes).toString("utf8");
  }

  /** Where secrets lie, by their beginnings, and from where on the end may be the beginning of one. */
  find(data: Uint8Array): { readonly spans: readonly Span[]; readonly openFrom: number } {
    const spans: Span[] = [];
    let openFrom = data.length;
    if (this.#secrets.size === 0) return { spans, openFrom };
    const pairs = this.#pairs;
    for (let at = 0; at + 1 < data.length; at += 1) {
      const pair = pairAt(data, at);
      if (pairs[pair] === 0) continue;
      for (const spelling of this.#byPair.get(pair) ?? []) {
        if (!agrees(spelling, data, at)) continue;
        const end = at + spelling.length;
        if (end <= data.length) spans.push({ begin: at, end });
        else openFrom = Math.min(openFrom, at);
      }
    }
    const last = data.length - 1;
    if (last >= 0 && openFrom > last && this.#beginsWith(data[last] ?? 0)) openFrom = last;
    return { spans, openFrom };
  }

  #beginsWith(byte: number): boolean {
    return [...this.#secrets.values()].flat().some((spelling) => spelling[0] === byte);
  }
}

interface Span {
  readonly begin: number;
  readonly end: number;
}

/** One stream of bytes through a mask. Holds back less than the longest secret. */
export class MaskedStream {
  readonly #mask: SecretMask;
  #held: Uint8Array = new Uint8Array();
  /** So many of the held bytes belong to a secret that was found already. */
  #heldCovered = 0;
  /** The last byte that was handed out belongs to a run that has its `***`. */
  #inRun = false;

  constructor(mask: SecretMask) {
    this.#mask = mask;
  }

  /** What can be let out now that these bytes came. */
  push(bytes: Uint8Array): Uint8Array {
    const data = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    const { spans, openFrom } = this.#mask.find(data);
    return this.#letOut(data, [{ begin: 0, end: this.#heldCovered }, ...spans], openFrom);
  }

  /** The rest. Nothing follows it: what is left of a secret that was cut off is covered, if it is long enough to tell something. */
  end(): Uint8Array {
    const data = this.#held;
    const covered = data.length >= secretBytesMin ? data.length : this.#heldCovered;
    return this.#letOut(data, [{ begin: 0, end: covered }], data.length);
  }

  /** `spans` are ordered by their beginnings. */
  #letOut(data: Uint8Array, spans: readonly Span[], until: number): Uint8Array {
    const parts: Uint8Array[] = [];
    let at = 0;
    let coveredUntil = this.#heldCovered; // Also when nothing is let out: it isn't found again.
    for (const { begin, end } of spans) {
      if (begin >= until || end <= at) continue;
      this.#plain(parts, data.subarray(at, Math.max(at, begin)));
      if (!this.#inRun) parts.push(cover);
      this.#inRun = true;
      coveredUntil = Math.max(coveredUntil, end);
      at = Math.min(end, until);
    }
    this.#plain(parts, data.subarray(at, until));
    this.#held = data.slice(until);
    this.#heldCovered = Math.max(0, coveredUntil - until);
    const [only] = parts;
    return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
  }

  #plain(parts: Uint8Array[], bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    parts.push(bytes);
    this.#inRun = false;
  }
}

function pairAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

/** Whether the bytes from `at` on are the spelling, as far as there are bytes. */
function agrees(spelling: Uint8Array, data: Uint8Array, at: number): boolean {
  const length = Math.min(spelling.length, data.length - at);
  for (let index = 2; index < length; index += 1) {
    if (spelling[index] !== data[at + index]) return false;
  }
  return true;
}
