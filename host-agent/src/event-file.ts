// What happened in the swarm, on this host's disk: a line of JSON for each event of the scheduler, with
// the wall clock's time in front. For people and for measurements, also after a crash, so it is a file
// and not a socket. Two generations of at most `eventFileBytesMax` are kept. Not synced: after a power
// cut the last lines may be missing or torn, and readers pass over those.
import { appendFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { eventFileBytesMax, eventLinesMax, eventWriteMs } from "@shoal/core/limits";
import type { SwarmLogEvent } from "@shoal/core/swarm/log-events";
import type { Log } from "@shoal/daemon/log";

export const eventFileNames = { newest: "swarm-events.jsonl", older: "swarm-events.old.jsonl" };

export interface EventFileDeps {
  /** Wall clock. */
  readonly now: () => number;
  readonly log: Log;
}

export class EventFile {
  readonly #deps: EventFileDeps;
  readonly #newest: string;
  readonly #older: string;
  #lines: string[] = [];
  #lostCount = 0;
  #bytes: number;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #hasFailed = false;

  private constructor(deps: EventFileDeps, dir: string, bytes: number) {
    this.#deps = deps;
    this.#newest = join(dir, eventFileNames.newest);
    this.#older = join(dir, eventFileNames.older);
    this.#bytes = bytes;
  }

  /** Goes on with what an earlier life has written. */
  static async open(deps: EventFileDeps, dir: string): Promise<EventFile> {
    const found = await stat(join(dir, eventFileNames.newest)).catch(() => undefined);
    return new EventFile(deps, dir, found?.size ?? 0);
  }

  /** Never throws and never waits; events beyond what the disk takes are counted and left out. */
  add({ at: _at, ...event }: SwarmLogEvent): void {
    if (this.#lines.length >= eventLinesMax) {
      this.#lostCount += 1;
      return;
    }
    const time = new Date(this.#deps.now()).toISOString();
    this.#lines.push(`${JSON.stringify({ time, ...event })}\n`);
    this.#timer ??= setTimeout(() => this.#flush(), eventWriteMs);
  }

  /** Writes what is left. */
  async close(): Promise<void> {
    this.#flush();
    await this.#writing;
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // A write that takes long holds up the next one, and `add` bounds what waits meanwhile.
    this.#writing = this.#writing
      .then(() => this.#write())
      .catch((error: unknown) => {
        if (!this.#hasFailed)
          this.#deps.log.warn({ error }, "events of the swarm can't be written");
        this.#hasFailed = true;
      });
  }

  async #write(): Promise<void> {
    if (this.#lostCount > 0) {
      const time = new Date(this.#deps.now()).toISOString();
      this.#lines.push(`${JSON.stringify({ time, type: "lost", events: this.#lostCount })}\n`);
      this.#lostCount = 0;
    }
    const text = this.#lines.splice(0).join("");
    if (text === "") return;
    const bytes = Buffer.byteLength(text);
    if (this.#bytes > 0 && this.#bytes + bytes > eventFileBytesMax) {
      await rm(this.#older, { force: true });
      await rename(this.#newest, this.#older);
      this.#bytes = 0;
    }
    await appendFile(this.#newest, text, { mode: 0o600 });
    this.#bytes += bytes;
    this.#hasFailed = false;
  }
}
