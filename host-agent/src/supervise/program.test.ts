import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { eventually, testFolder } from "../test-folder.test-kit.ts";
import { findByMark, findProcess, isAlive, processesOf } from "./process-table.ts";
import { adoptProgram, startProgram, type Program, type ProgramSpec } from "./program.ts";

interface Started {
  readonly program: Program;
  readonly folder: string;
  readonly mark: string;
  readonly log: () => Promise<string>;
}

async function start(
  command: readonly string[],
  parts: Partial<ProgramSpec> = {},
): Promise<Started> {
  const folder = await testFolder();
  const mark = randomUUID();
  const logFile = join(folder, "log", "program.log");
  const program = await startProgram({
    command,
    directory: folder,
    environment: { PATH: "/usr/bin:/bin" },
    logFile,
    mark,
    user: null,
    memoryBytesMax: null,
    group: null,
    ...parts,
  });
  onTestFinished(() => program.stop(0));
  return { program, folder, mark, log: async () => readFile(logFile, "utf8").catch(() => "") };
}

const shell = (script: string): readonly string[] => ["/bin/sh", "-c", script];
const sleeps = shell("echo up; while :; do sleep 0.05; done");

describe("a program", () => {
  test("gets only the environment that it was given, and writes its log by itself", async () => {
    const { program, log, mark, folder } = await start(shell("env; pwd; echo wrong >&2"), {
      environment: { PATH: "/usr/bin:/bin", PORT: "8123" },
    });
    expect(await program.exited).toBe("exited with code 0");
    const lines = (await log()).trimEnd().split("\n");
    expect(lines.filter((line) => !/^(?:PWD|OLDPWD|SHLVL|_)=/.test(line)).toSorted()).toEqual(
      [folder, `SHOAL_INSTANCE=${mark}`, "PATH=/usr/bin:/bin", "PORT=8123", "wrong"].toSorted(),
    );
  });

  test("is given its arguments as they are, by no shell", async () => {
    const { program, log } = await start(["/bin/echo", "$HOME; rm -rf *", "a  b"]);
    await program.exited;
    expect(await log()).toBe("$HOME; rm -rf * a  b\n");
  });

  test("is found in its folder when its path is relative", async () => {
    const folder = await testFolder();
    await writeFile(join(folder, "serve"), "#!/bin/sh\necho served\n", { mode: 0o755 });
    const { program, log } = await start(["./serve"], { directory: folder });
    expect(await program.exited).toBe("exited with code 0");
    expect(await log()).toBe("served\n");
  });

  test.for([
    ["there is no such file", ["./nowhere"], "ENOENT"],
    ["it may not be run", ["/etc/passwd"], "EACCES"],
  ] as const)("can't be started when %s", async ([, command, code]) => {
    await expect(start(command)).rejects.toMatchObject({
      code: "program_not_started",
      message: expect.stringContaining(code),
    });
  });

  test("that ends tells its code or signal", async () => {
    expect(await (await start(shell("exit 7"))).program.exited).toBe("exited with code 7");
    expect(await (await start(shell("kill -SEGV $$"))).program.exited).toBe("ended by SIGSEGV");
  });

  test("has ended only when what it started has ended, too", async () => {
    const { program, mark } = await start(shell("sleep 60 & (setsid sleep 60 &) ; exit 3"));
    expect(await program.exited).toBe("exited with code 3");
    expect(await processesOf(program.identity, mark)).toEqual([]);
  });

  test("may not take more address space than it is given", async () => {
    const { program, log } = await start(shell("ulimit -v"), { memoryBytesMax: 512 * 1024 * 1024 });
    await program.exited;
    expect(await log()).toBe("524288\n");
  });

  test.runIf(process.getuid?.() === 0)("runs as the user that it is given", async () => {
    const { program, log } = await start(shell("id -u; id -g; id -G"), {
      user: { uid: 65_534, gid: 65_534 },
    });
    await program.exited;
    expect(await log()).toBe("65534\n65534\n65534\n");
  });
});

describe("stopping", () => {
  test("asks first and waits for a clean end", async () => {
    const { program, log } = await start(
      shell("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done"),
    );
    await eventually(async () => (await log()) === "up\n");
    await program.stop(10_000);
    expect(await program.exited).toBe("exited with code 0");
    expect(await log()).toContain("bye");
  });

  test("kills what doesn't end in time, with all that it started", async () => {
    const { program, mark, log } = await start(
      shell(
        "trap '' TERM; (trap '' TERM; setsid sleep 60) & echo up; while :; do sleep 0.05; done",
      ),
    );
    await eventually(async () => (await log()) === "up\n");
    await eventually(async () => (await processesOf(program.identity, mark)).length >= 3);
    const startedAt = performance.now();
    await program.stop(300);
    expect(performance.now() - startedAt).toBeGreaterThan(250);
    expect(await program.exited).toBe("ended by SIGKILL");
    expect(await processesOf(program.identity, mark)).toEqual([]);
  });

  test("may be asked for twice, and of a program that has ended", async () => {
    const { program } = await start(sleeps);
    await Promise.all([program.stop(5000), program.stop(0)]);
    await program.stop(5000);
    expect(await findProcess(program.identity.pid)).toBeNull();
  });

  test("leaves processes alone that only have come to the same number", async () => {
    const { program } = await start(sleeps);
    const older = { ...program.identity, startTicks: program.identity.startTicks - 1 };
    expect(await processesOf(older, "no-such-mark")).toEqual([]);
    expect(await isAlive(older)).toBe(false);
    expect(await adoptProgram(older, "no-such-mark")).toBeNull();
  });
});

describe("a program of an earlier life of the agent", () => {
  test("is found by its mark, and its end is noticed", async () => {
    const { program, mark } = await start(sleeps);
    const identity = await findByMark(mark);
    expect(identity).toEqual(program.identity);
    const adopted = await adoptProgram(program.identity, mark);
    process.kill(program.identity.pid, "SIGKILL");
    expect(await adopted?.exited).toBe("ended");
  });

  test("is stopped like any other", async () => {
    const { program, mark } = await start(sleeps);
    const adopted = await adoptProgram(program.identity, mark);
    await adopted?.stop(5000);
    expect(await program.exited).toBe("ended by SIGTERM");
  });

  test("that has ended isn't taken for a zombie's life", async () => {
    const { program, mark } = await start(shell("exit 0"));
    await program.exited;
    expect(await adoptProgram(program.identity, mark)).toBeNull();
    expect(await findByMark(mark)).toBeNull();
  });
});
