// One machine of the document: a shell in which its commands are typed one after the other. Its files lie in a folder of their own: the folders that the document names are
// written there, and `scp` copies between the machines' folders.
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";

const commandMsMax = 120_000;
const textKeptMax = 20_000;
const foldersPattern =
  /(root@(?<address>[0-9.]+):)?(?<path>\/(etc\/shoal|var\/lib\/shoal|srv\/git))\b/g;

export interface MachineConfig {
  readonly name: string;
  readonly namespace: string;
  /** Folder that stands for the root of a machine, by the machine's address; "" is this one's. */
  readonly rootOf: (address: string) => string;
  readonly searchPath: string;
}

export class Machine {
  readonly #config: MachineConfig;
  readonly #shell: ChildProcess;
  #text = "";

  constructor(config: MachineConfig) {
    this.#config = config;
    const root = config.rootOf("");
    this.#shell = spawn("ip", ["netns", "exec", config.namespace, "bash"], {
      cwd: root,
      env: { PATH: config.searchPath, HOME: root, ROOT: root, LC_ALL: "C.UTF-8" },
    });
    const keep = (text: string): void => {
      this.#text = (this.#text + text).slice(-textKeptMax);
    };
    this.#shell.stdout?.setEncoding("utf8").on("data", keep);
    this.#shell.stderr?.setEncoding("utf8").on("data", keep);
    this.#shell.stdin?.write("set -euo pipefail\n");
  }

  /** Types commands into the machine's shell; answers what they printed. Rejects when one fails. */
  async type(commands: string): Promise<string> {
    const mark = `done-${randomUUID()}`;
    this.#text = "";
    // The shell reads its commands from its input: theirs is empty.
    this.#shell.stdin?.write(`{\n${this.#translate(commands)}\n} </dev/null\necho ${mark}\n`);
    await this.#waitFor(commandMsMax, commands, () => this.#text.includes(mark));
    return this.#text.slice(0, this.#text.indexOf(mark));
  }

  /** Ends the shell; what it started ends with the machine's namespace. */
  stop(): void {
    this.#shell.kill("SIGKILL");
  }

  /** The end of what was said in its shell, and by its services. */
  async describe(): Promise<string> {
    const folder = this.#config.rootOf("");
    const logs = (await readdir(folder)).filter((name) => name.endsWith(".log"));
    const texts = await Promise.all(logs.map((name) => readFile(join(folder, name), "utf8")));
    const parts = [this.#text, ...texts].map((text) => text.slice(-3000));
    return [`machine ${this.#config.name}:`, ...parts].join("\n");
  }

  #translate(commands: string): string {
    return commands.replaceAll(foldersPattern, (...match) => {
      const groups = match.at(-1) as { address?: string; path: string };
      return `${this.#config.rootOf(groups.address ?? "")}${groups.path}`;
    });
  }

  async #waitFor(timeoutMs: number, what: string, isThere: () => boolean): Promise<void> {
    const startMs = performance.now();
    while (!isThere()) {
      if (this.#shell.exitCode !== null) throw new Error(`failed: ${what}\n${this.#text}`);
      if (performance.now() - startMs > timeoutMs) throw new Error(`late: ${what}\n${this.#text}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
