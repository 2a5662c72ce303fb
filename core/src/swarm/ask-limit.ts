// How many hosts are asked for something at once. Uploads that share a way down make each other late, and while one
// of them waits its host could send to somebody else: in a world of 1000 hosts (10 GiB) asking all that invite left
// ways up idle for 1.5% of the time, and half of the hosts were done at 1.027 of the bound instead of 1.016.
//
// Few are enough where each can fill a good part of our way down. Where they can't, because they are slow, or may
// not send more, more of them bring more; nobody says so, so it is tried: twice as many for a while, kept if more
// arrives, and given up again when as much arrives with fewer. Tries that changed nothing become rare.
import { assert } from "../error.ts";
import type { Bytes, Millis } from "../units.ts";
import type { SwarmConfig } from "./config.ts";

const intervalMs: Millis = 1000;
/** Twice as many are worth it when they bring so much more, and half of them are enough when they bring so much. */
const gainMin = 1.25;
const keptShare = 0.9;
/** Intervals between tries: at the start a swarm becomes faster by itself. */
const pauseMin = 4;
const pauseMax = 64;
const timesMax = 8;

interface Try {
  /** The limit before, and what arrived under it. */
  readonly hosts: number;
  readonly bytes: Bytes;
}

export class AskLimit {
  readonly #least: number;
  #hosts: number;
  #sinceMs: Millis = 0;
  #bytes: Bytes = 0;
  /** Since the interval began, somebody wasn't asked because of the limit. */
  #isBinding = false;
  #try: Try | undefined;
  /** Between tries, and left until the next one, in intervals. */
  #pause = pauseMin;
  #pauseLeft = pauseMin;

  constructor({ hostsAsked }: Pick<SwarmConfig, "hostsAsked">) {
    assert(hostsAsked >= 1, "somebody may be asked");
    this.#least = hostsAsked;
    this.#hosts = hostsAsked;
  }

  get hosts(): number {
    return this.#hosts;
  }

  /** A host that has room isn't asked: there are as many. */
  bind(): void {
    this.#isBinding = true;
  }

  /** Bytes have come, from whomever. */
  deliver(bytes: Bytes, now: Millis): void {
    const elapsedMs = now - this.#sinceMs;
    if (elapsedMs >= intervalMs) {
      // After a silence there is nothing to compare with.
      if (elapsedMs < 2 * intervalMs) this.#step((this.#bytes * intervalMs) / elapsedMs);
      else this.#abandon();
      this.#sinceMs = now;
      this.#bytes = 0;
      this.#isBinding = false;
    }
    this.#bytes += bytes;
  }

  #step(bytes: Bytes): void {
    const tried = this.#try;
    if (tried !== undefined) {
      const { hosts } = tried;
      const enough = this.#hosts > hosts ? gainMin : keptShare;
      const isKept = bytes >= enough * tried.bytes;
      if (!isKept) this.#hosts = hosts;
      this.#pause = isKept ? pauseMin : Math.min(2 * this.#pause, pauseMax);
      this.#pauseLeft = this.#pause;
      this.#try = undefined;
      return;
    }
    this.#pauseLeft -= 1;
    if (this.#pauseLeft > 0) return;
    const next = this.#isBinding ? 2 * this.#hosts : this.#hosts / 2;
    if (next < this.#least || next > timesMax * this.#least) return;
    this.#try = { hosts: this.#hosts, bytes };
    this.#hosts = next;
  }

  #abandon(): void {
    if (this.#try !== undefined) this.#hosts = this.#try.hosts;
    this.#try = undefined;
  }
}
