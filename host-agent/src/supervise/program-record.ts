// What runs, on disk, so that an agent that was killed finds its program again. Written with a mark
// before the program is started and with its pid afterwards: a program that was started just before a
// crash is found by the mark in its environment.
import { release } from "@shoal/api/release";
import type { Release } from "@shoal/core/rollout/release";
import type { StateFile } from "@shoal/daemon/atomic-file";
import { z } from "zod";
import { findByMark, type ProcessIdentity } from "./process-table.ts";
import { adoptProgram, type Program } from "./program.ts";

const recordFile = z.strictObject({
  format: z.literal("shoal.program/v1"),
  /** Decoded by itself: a program must be found even when another version of the agent wrote this. */
  release: z.unknown(),
  mark: z.string().min(1).max(64),
  port: z.int().min(1).max(65_535).nullable(),
  /** Pids and start times are of one boot of the machine. */
  bootId: z.string().max(64),
  identity: z
    .strictObject({ pid: z.int().positive(), startTicks: z.int().nonnegative() })
    .nullable(),
});
type RecordFile = z.infer<typeof recordFile>;

export interface ProgramRecord {
  readonly release: Release;
  readonly mark: string;
  readonly port: number | null;
  readonly identity: ProcessIdentity | null;
}

export interface FoundProgram {
  /** Null when it can't be read what the program is. */
  readonly record: ProgramRecord | null;
  readonly program: Program;
}

export class ProgramRecords {
  readonly #file: StateFile;
  readonly #bootId: string;

  constructor(file: StateFile, bootId: string) {
    this.#file = file;
    this.#bootId = bootId;
  }

  async write(program: ProgramRecord): Promise<void> {
    const record = { format: "shoal.program/v1", ...program, bootId: this.#bootId };
    await this.#file.write(JSON.stringify(record));
  }

  /** The port of what was started last, whether or not it still runs. */
  async lastPort(): Promise<number | null> {
    return (await this.#read())?.port ?? null;
  }

  /** The program of an earlier life, when it still runs. */
  async find(): Promise<FoundProgram | null> {
    const record = await this.#read();
    if (record === null || record.bootId !== this.#bootId) return null;
    const { mark, port } = record;
    const identity = record.identity ?? (await findByMark(mark));
    const program = identity === null ? null : await adoptProgram(identity, mark);
    if (program === null) return null;
    const known = release.safeParse(record.release);
    return {
      record: known.success ? { release: known.data, mark, port, identity } : null,
      program,
    };
  }

  /** Null when there is none, or none that can be read. */
  async #read(): Promise<RecordFile | null> {
    const bytes = await this.#file.read();
    if (bytes === undefined) return null;
    const parsed = recordFile.safeParse(parseJson(bytes));
    return parsed.success ? parsed.data : null;
  }
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined; // Not a record, which is what the schema then says.
  }
}
