// Postgres's log: a file that starts again at a size, with the one before kept, and the last lines
// in memory for error messages. Failures to write are given up on: a full disk shows elsewhere.
import { appendFile, rename, stat } from "node:fs/promises";
import { postgresLogBytesMax } from "@shoal/core/limits";

const tailCharsMax = 4096;

export class BoundedLog {
  readonly #path: string;
  #bytes = 0;
  #tail = "";
  #last: Promise<void>;

  constructor(path: string) {
    this.#path = path;
    this.#last = stat(path).then(
      ({ size }) => void (this.#bytes = size),
      () => undefined,
    );
  }

  /** Resolves when the text is in the file: a writer that waits for it can't get ahead of the disk. */
  write(text: string): Promise<void> {
    this.#tail = (this.#tail + text).slice(-tailCharsMax);
    this.#last = this.#last.then(() => this.#append(text)).catch(() => undefined);
    return this.#last;
  }

  /** The last lines that say what went wrong, or the last line there is. */
  reason(): string {
    const lines = this.#tail.split("\n").filter((line) => line.trim() !== "");
    const failed = lines.findLast((line) =>
      /\b(?:FATAL|PANIC|ERROR)\b|could not|error while/.test(line),
    );
    return (failed ?? lines.at(-1) ?? "it said nothing").trim();
  }

  async #append(text: string): Promise<void> {
    if (this.#bytes > postgresLogBytesMax) {
      await rename(this.#path, `${this.#path}.1`);
      this.#bytes = 0;
    }
    await appendFile(this.#path, text, { mode: 0o600 });
    this.#bytes += Buffer.byteLength(text);
  }
}
