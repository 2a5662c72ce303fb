// Starts the releases of one service as programs: folder, environment, user, port, record on disk. A
// release without a command has no process: it "runs" by being current.
import { randomUUID } from "node:crypto";
import { chown, mkdir } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { programStopOnExitMsMax } from "@shoal/core/limits";
import type { Release } from "@shoal/core/rollout/release";
import type { SecretsKey } from "@shoal/trust/sealed-secret";
import { mebibyte } from "@shoal/core/units";
import { StateFile } from "@shoal/daemon/atomic-file";
import { switchCurrent } from "../activate.ts";
import type { HealthTarget } from "../health.ts";
import { findFreePort, type PortRange } from "./free-port.ts";
import { boundProgramLog, lastLogLine } from "./program-log.ts";
import { ProgramRecords, type ProgramRecord } from "./program-record.ts";
import type { ProgramGroups } from "./program-groups.ts";
import { startProgram, type Program, type ProgramUser } from "./program.ts";
import { markVariable } from "./process-table.ts";
import { secretsVariable, writeSecretFiles } from "./secret-files.ts";

export interface LauncherConfig {
  /** Folder of the service: `current`, record, log and home. */
  readonly serviceDir: string;
  readonly ports: PortRange;
  /** Null: programs run as the agent's own user. */
  readonly user: ProgramUser | null;
  /** Node binary whose folder is first on the programs' PATH. */
  readonly nodePath: string;
  /** Keys that open the secrets of this host's environments. */
  readonly secretsKeys: readonly SecretsKey[];
  readonly environment: string;
  readonly service: string;
  /** Of this boot of the machine. */
  readonly bootId: string;
  /** Where limits are held. */
  readonly groups: ProgramGroups;
}

export interface LauncherDeps {
  /** Folder of a release's artifact on disk. */
  readonly releaseDir: (release: Release) => string;
  readonly random: () => number;
}

export interface RunningProgram {
  readonly release: Release;
  readonly port: number | null;
  readonly healthTarget: HealthTarget;
  /** Resolves once, with how it ended, when nothing of it is left. Never rejects. */
  readonly exited: Promise<string>;
  /** Ends it, with force after the release's stop timeout, or sooner; `exited` then resolves. */
  stop(timeoutMsMax?: number): Promise<void>;
}

/** A release with the longest environment that its schema takes. */
const recordBytesMax = 4 * mebibyte;
const systemPath = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

export class Launcher {
  readonly #deps: LauncherDeps;
  readonly #config: LauncherConfig;
  readonly #records: ProgramRecords;

  constructor(deps: LauncherDeps, config: LauncherConfig) {
    this.#deps = deps;
    this.#config = config;
    const file = new StateFile(join(config.serviceDir, "program.json"), recordBytesMax);
    this.#records = new ProgramRecords(file, config.bootId);
  }

  /** The program of an earlier life of the agent, if it still runs. One that nobody knows is ended. */
  async find(): Promise<RunningProgram | null> {
    const found = await this.#records.find();
    if (found === null) return null;
    if (found.record !== null) return this.#running(found.record, found.program);
    await found.program.stop(programStopOnExitMsMax);
    return null;
  }

  /** Switches to a release and starts it. Throws `program_not_started`, `limits_unavailable` or `no_free_port`. */
  async launch(release: Release): Promise<RunningProgram> {
    const { serviceDir, user } = this.#config;
    const home = join(serviceDir, "home");
    await mkdir(home, { recursive: true });
    if (user !== null) await chown(home, user.uid, user.gid);
    const directory = this.#deps.releaseDir(release);
    const { environment, service, secretsKeys: keys, groups } = this.#config;
    await writeSecretFiles(this.#secretsDir(), release, { environment, service, keys, user });
    await switchCurrent(serviceDir, directory);
    const port = await this.#choosePort(release);
    const record: ProgramRecord = { release, mark: randomUUID(), port, identity: null };
    await this.#records.write(record);
    if (release.run.command.length === 0) return this.#withoutProcess(record);
    const { limits, memoryBytesMax } = release.run;
    const program = await startProgram({
      command: release.run.command,
      directory,
      environment: this.#environment(release, port),
      logFile: this.#logFile(),
      mark: record.mark,
      user,
      memoryBytesMax,
      group: limits === undefined ? null : await groups.make(record.mark, limits),
    });
    await this.#records.write({ ...record, identity: program.identity });
    return this.#running(record, program);
  }

  /** To be called now and then: nobody else bounds what the programs write. */
  boundLog(): Promise<void> {
    return boundProgramLog(this.#logFile());
  }

  async #choosePort(release: Release): Promise<number | null> {
    const { port, command } = release.run;
    if (port !== "auto") return port;
    if (command.length === 0) return null;
    const before = await this.#records.lastPort();
    return findFreePort(this.#config.ports, before, this.#deps.random);
  }

  #running(record: ProgramRecord, program: Program): RunningProgram {
    const { release, port } = record;
    return {
      release,
      port,
      healthTarget: this.#healthTarget(record),
      exited: program.exited.then(async (how) => {
        await this.#config.groups.drop(record.mark);
        const line = await lastLogLine(this.#logFile()).catch(() => "");
        return line === "" ? how : `${how}; its log ends with: ${line}`;
      }),
      stop: (timeoutMsMax = Number.POSITIVE_INFINITY) =>
        program.stop(Math.min(release.run.stopTimeoutMs, timeoutMsMax)),
    };
  }

  #withoutProcess(record: ProgramRecord): RunningProgram {
    const { promise: exited, resolve } = Promise.withResolvers<string>();
    return {
      release: record.release,
      port: record.port,
      healthTarget: this.#healthTarget(record),
      exited,
      stop: async () => resolve("stopped"),
    };
  }

  /** Its checks carry the program's mark: what one of them leaves behind ends with the program. */
  #healthTarget({ release, port, mark }: ProgramRecord): HealthTarget {
    return {
      port,
      directory: this.#deps.releaseDir(release),
      environment: { ...this.#environment(release, port), [markVariable]: mark },
      user: this.#config.user,
    };
  }

  #environment(release: Release, port: number | null): Readonly<Record<string, string>> {
    const { nodePath, serviceDir } = this.#config;
    return {
      PATH: [dirname(nodePath), ...systemPath].join(delimiter),
      HOME: join(serviceDir, "home"),
      LANG: "C.UTF-8",
      ...release.run.environment,
      ...(port === null ? {} : { PORT: String(port) }),
      ...(hasSecrets(release) ? { [secretsVariable]: this.#secretsDir() } : {}),
    };
  }

  #secretsDir(): string {
    return join(this.#config.serviceDir, "secrets");
  }

  #logFile(): string {
    return join(this.#config.serviceDir, "log", "program.log");
  }
}

function hasSecrets(release: Release): boolean {
  return Object.keys(release.run.secrets ?? {}).length > 0;
}
