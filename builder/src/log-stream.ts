// The way of a build's output to the control plane. Bytes are sent in order, each batch with its
// offset, until the control plane has said that it has them; a batch whose answer was lost is sent
// again with the same offset, which the control plane ignores. Secrets are masked before anything else is
// done with the bytes. What waits is bounded: `append` is slow
// when the control plane is, the build's pipe fills, and the build waits. After the limit of one
// attempt's log the rest is counted and dropped, and the log says so.
import { setTimeout as sleep } from "node:timers/promises";
import {
  logAppendBytesMax,
  logBufferBytesMax,
  logBytesMax,
  logDrainMsMax,
  logFlushMs,
} from "@shoal/core/limits";
import type { Log } from "@shoal/daemon/log";
import { retry } from "./retry.ts";
import { MaskedStream, type SecretMask } from "./secrets/mask.ts";

export interface LogStreamDeps {
  /** Stores bytes that start at `offset`; repeats are harmless. */
  readonly send: (offset: number, bytes: Uint8Array, signal: AbortSignal) => Promise<void>;
  readonly mask: SecretMask;
  readonly log: Pick<Log, "warn">;
}

export interface LogStreamLimits {
  readonly bufferBytesMax: number;
  readonly bytesMax: number;
  readonly appendBytesMax: number;
  readonly flushMs: number;
}

const ownLimits: LogStreamLimits = {
  bufferBytesMax: logBufferBytesMax,
  bytesMax: logBytesMax,
  appendBytesMax: logAppendBytesMax,
  flushMs: logFlushMs,
};

export class LogStream {
  readonly #deps: LogStreamDeps;
  readonly #limits: LogStreamLimits;
  readonly #controller: AbortController = new AbortController();
  readonly #sender: Promise<void>;
  readonly #masked: MaskedStream;
  #waiting: Uint8Array[] = [];
  /** Bytes in `waiting`, at most `bufferBytesMax` and one portion. */
  #waitingBytes = 0;
  /** Taken in so far, at most `bytesMax` and a note. */
  #takenBytes = 0;
  #droppedBytes = 0;
  #closing = false;
  /** The control plane won't take more: what comes is dropped, and nobody waits. */
  #broken = false;
  #changed = Promise.withResolvers<void>();

  /** The signal ends the sending at once; use `close` to send what waits first. */
  constructor(deps: LogStreamDeps, signal: AbortSignal, limits: LogStreamLimits = ownLimits) {
    this.#deps = deps;
    this.#limits = limits;
    this.#masked = new MaskedStream(deps.mask);
    const stop = (): void => this.#controller.abort(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true, signal: this.#controller.signal });
    this.#controller.signal.addEventListener("abort", () => this.#tell(), { once: true });
    this.#sender = this.#sendAll();
  }

  /** Takes the build's bytes in; resolves when there is room for more. Never rejects. */
  async append(bytes: Uint8Array): Promise<void> {
    this.#admit(this.#masked.push(bytes));
    await this.#whenThereIsRoom();
  }

  /** A line of the builder's own among the build's; it doesn't part a secret that is half printed. */
  async note(text: string): Promise<void> {
    this.#admit(new TextEncoder().encode(`[shoal] ${this.#deps.mask.text(text)}\n`));
    await this.#whenThereIsRoom();
  }

  /** Nothing more comes of a command: its last bytes, which may have begun a secret, precede what is noted next. */
  async endOfCommand(): Promise<void> {
    this.#admit(this.#masked.end());
    await this.#whenThereIsRoom();
  }

  /** Sends what waits, for at most a while, and ends. Idempotent, never rejects. */
  async close(): Promise<void> {
    if (!this.#closing) this.#admit(this.#masked.end());
    if (!this.#closing && this.#droppedBytes > 0) {
      const text = `\n[shoal] the log is full: ${this.#droppedBytes} bytes more were dropped\n`;
      this.#take(new TextEncoder().encode(text));
    }
    this.#closing = true;
    this.#tell();
    const timer = setTimeout(() => this.#controller.abort(), logDrainMsMax);
    await this.#sender;
    clearTimeout(timer);
    this.#controller.abort();
  }

  /** Takes what there is room for within the log's limit. */
  #admit(bytes: Uint8Array): void {
    const room = Math.max(0, this.#limits.bytesMax - this.#takenBytes);
    if (bytes.length > room) this.#droppedBytes += bytes.length - room;
    this.#take(bytes.length > room ? bytes.subarray(0, room) : bytes);
  }

  async #whenThereIsRoom(): Promise<void> {
    while (this.#waitingBytes > this.#limits.bufferBytesMax && !this.#broken) {
      await this.#changed.promise;
    }
  }

  #take(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#broken) return;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#takenBytes += bytes.length;
    this.#tell();
  }

  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  async #sendAll(): Promise<void> {
    const { signal } = this.#controller;
    let offset = 0;
    try {
      while (await this.#hasMore(signal)) {
        const batch = this.#nextBatch();
        await retry(() => this.#deps.send(offset, batch, signal), { signal });
        offset += batch.length;
        this.#waitingBytes -= batch.length;
        this.#tell();
      }
    } catch (error) {
      if (!signal.aborted) this.#deps.log.warn({ error, offset }, "the build's log is cut off");
    }
    this.#broken = true;
    this.#waiting = [];
    this.#tell();
  }

  /** Waits for bytes, and then a little for company. False when there will be no more. */
  async #hasMore(signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    while (this.#waiting.length === 0) {
      if (this.#closing) return false;
      await this.#changed.promise;
      signal.throwIfAborted();
    }
    const enough = this.#waitingBytes >= this.#limits.appendBytesMax;
    if (!enough && !this.#closing) await sleep(this.#limits.flushMs, undefined, { signal });
    return true;
  }

  /** Up to `appendBytesMax` from the front; they count as waiting until they have arrived. */
  #nextBatch(): Uint8Array {
    const parts: Uint8Array[] = [];
    let left = this.#limits.appendBytesMax;
    while (left > 0) {
      const part = this.#waiting[0];
      if (part === undefined) break;
      parts.push(part.subarray(0, left));
      if (part.length > left) this.#waiting[0] = part.subarray(left);
      else this.#waiting.shift();
      left -= Math.min(left, part.length);
    }
    return Buffer.concat(parts);
  }
}
