// A git repository whose builds and programs notice what a fault could break. The build leaves data
// with its checksums; the program checks all of them before it serves, and writes down what it found.
// So a release that is half written and run anyway is seen afterwards, however briefly it ran.
import type { Client } from "@shoal/api/client";
import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { faultConfig } from "./config.ts";

const run = promisify(execFile);

const buildScript = `
import { createCipheriv, createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync, cpSync } from "node:fs";
const { version, parts, partBytes, changed } = JSON.parse(readFileSync("size.json", "utf8"));
mkdirSync("out/data", { recursive: true });
const sums = [];
const put = (path, bytes) => {
  writeFileSync("out/" + path, bytes);
  sums.push(createHash("sha256").update(bytes).digest("hex") + "  " + path);
};
for (let part = 0; part < parts; part += 1) {
  const key = createHash("sha256").update(part < changed ? part + "/" + version : String(part)).digest();
  const bytes = createCipheriv("aes-128-ctr", key.subarray(0, 16), key.subarray(16)).update(Buffer.alloc(partBytes));
  put("data/part-" + part, bytes);
  console.log("made part " + part + " of " + parts);
}
put("version", version + "\\n");
writeFileSync("out/sums", sums.join("\\n") + "\\n");
cpSync("run.sh", "out/run.sh");
`;

const runScript = `
version=$(cat version)
if sha256sum -c --quiet sums >/dev/null 2>&1; then state=whole; else state=broken; fi
echo "$version $state $$" >> "$HOME/starts"
test "$state" = whole || exit 1
echo "$version" > "$HOME/serving"
exec sleep 1000000
`;

export interface SampleSize {
  readonly parts: number;
  readonly partBytes: number;
  /** Parts that differ from version to version. */
  readonly changed: number;
}

/** What hosts run: started by sh, healthy once all of the release was found whole. */
export const sampleRun = {
  command: ["/bin/sh", "run.sh"],
  health: {
    type: "command",
    command: ["/bin/sh", "-c", 'test "$(cat "$HOME/serving")" = "$(cat version)"'],
    intervalMs: 250,
    timeoutMs: 5000,
    startupMs: 30_000,
    healthyAfterCount: 1,
    unhealthyAfterCount: 3,
  },
  stopTimeoutMs: 2000,
} as const;

export class SampleProject {
  readonly dir: string;
  readonly #size: SampleSize;

  private constructor(dir: string, size: SampleSize) {
    this.dir = dir;
    this.#size = size;
  }

  static async create(dir: string, size: SampleSize): Promise<SampleProject> {
    await mkdir(dir, { recursive: true });
    const project = new SampleProject(dir, size);
    await project.git("init", "--quiet", "--initial-branch=main");
    await writeFile(join(dir, "build.mjs"), buildScript);
    await writeFile(join(dir, "run.sh"), runScript);
    return project;
  }

  /** Tells a fleet of it, as a project and as a service of that name. */
  async register({ projects, services }: Client, name: string): Promise<void> {
    await projects.create({
      name,
      remoteUrl: this.dir,
      buildCommand: "node build.mjs",
      artifactPath: "out",
    });
    await services.create({ name, project: name, run: sampleRun });
  }

  /** A new commit; answers its id. */
  async commit(version: string, files: Readonly<Record<string, string>> = {}): Promise<string> {
    await writeFile(join(this.dir, "size.json"), JSON.stringify({ version, ...this.#size }));
    for (const [name, text] of Object.entries(files)) await writeFile(join(this.dir, name), text);
    await this.git("add", "--all");
    await this.git("commit", "--quiet", "--message", version);
    return this.git("rev-parse", "HEAD");
  }

  async git(...args: readonly string[]): Promise<string> {
    const who = { NAME: "Shoal", EMAIL: "faults@shoal.invalid" };
    const { stdout } = await run("git", args, {
      cwd: this.dir,
      env: {
        PATH: faultConfig.searchPath,
        GIT_CONFIG_GLOBAL: "/dev/null",
        GIT_CONFIG_SYSTEM: "/dev/null",
        GIT_AUTHOR_NAME: who.NAME,
        GIT_AUTHOR_EMAIL: who.EMAIL,
        GIT_COMMITTER_NAME: who.NAME,
        GIT_COMMITTER_EMAIL: who.EMAIL,
      },
    });
    return stdout.trim();
  }
}
