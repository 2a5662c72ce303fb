// Progress of the demo on stderr: bars on a terminal, plain lines otherwise.
import { MultiBar, Presets, type SingleBar } from "cli-progress";
import type { Writable } from "node:stream";

/** One step of the story. */
export interface Stage {
  /** `share` is 0 … 1; `text` says what it waits for. */
  update(share: number, text: string): void;
  done(text: string): void;
}

export interface Progress {
  stage(title: string): Stage;
  note(text: string): void;
  /** Gives the terminal back. */
  stop(): void;
}

export function createProgress(output: Writable & { readonly isTTY?: boolean }): Progress {
  return output.isTTY === true ? new BarProgress(output) : new LineProgress(output);
}

class LineProgress implements Progress {
  readonly #output: Writable;
  readonly #startedAt = performance.now();

  constructor(output: Writable) {
    this.#output = output;
  }

  stage(title: string): Stage {
    let last = "";
    const say = (text: string): void => {
      // A line only for what is new: a log of the demo stays short.
      if (text !== last) this.note(text === "" ? title : `${title}: ${text}`);
      last = text;
    };
    say("");
    return { update: (_share, text) => say(text), done: say };
  }

  note(text: string): void {
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(1).padStart(6);
    this.#output.write(`${seconds} s  ${text}\n`);
  }

  stop(): void {}
}

class BarProgress implements Progress {
  readonly #bars: MultiBar;

  constructor(output: Writable) {
    this.#bars = new MultiBar(
      {
        stream: output,
        format: "{title} {bar} {percentage}%  {text}",
        barsize: 24,
        hideCursor: true,
        autopadding: true,
        emptyOnZero: true,
      },
      Presets.shades_classic,
    );
  }

  stage(title: string): Stage {
    const bar: SingleBar = this.#bars.create(1000, 0, { title: title.padEnd(28), text: "" });
    return {
      update: (share, text) => bar.update(Math.round(share * 1000), { text }),
      done: (text) => {
        bar.update(1000, { text });
        bar.stop();
      },
    };
  }

  note(text: string): void {
    this.#bars.log(`${text}\n`);
  }

  stop(): void {
    this.#bars.stop();
  }
}
