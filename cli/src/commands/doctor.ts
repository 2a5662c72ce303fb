// `shoal doctor`: what this machine lacks, and what to type.
import type { Command } from "commander";
import { tmpdir } from "node:os";
import { examine } from "../doctor/examine.ts";
import type { Finding } from "../doctor/finding.ts";
import { thisMachine } from "../doctor/machine.ts";
import { searchPath, type Environment } from "../environment.ts";
import { exitCodes } from "../exit-codes.ts";
import { renderTable } from "../table.ts";
import { parsePort } from "../service-words.ts";
import { printAnswer } from "./print.ts";

interface DoctorFlags {
  readonly dir: string;
  readonly port: readonly string[];
  readonly url?: string;
  readonly keys?: string;
  readonly rootPublicKey?: string;
  readonly json?: boolean;
}

export function addDoctorCommand(program: Command, environment: Environment): void {
  program
    .command("doctor")
    .description("Look at this machine: what Shoal lacks here, and what to type")
    .option("--dir <path>", "where state would live", tmpdir())
    .option("--port <number...>", "ports that have to be free", [])
    .option("--url <url>", "control plane to compare clocks with (SHOAL_URL)")
    .option("--keys <dir>", "folder with keys and trust document")
    .option("--root-public-key <key>", "that the trust document has to be signed with")
    .option("--json", "print the answer as one JSON line")
    .action(async (flags: DoctorFlags) => {
      const findings = await examine(thisMachine(searchPath(environment)), {
        dir: flags.dir,
        ports: flags.port.map(parsePort),
        url: flags.url ?? environment["SHOAL_URL"],
        databaseUrl: environment["DATABASE_URL"],
        keysDir: flags.keys ?? null,
        rootPublicKey: flags.rootPublicKey,
      });
      const ok = findings.every(({ level }) => level !== "wrong");
      printAnswer({ ok, findings }, flags.json === true, (answer) =>
        describeFindings(answer.findings),
      );
      if (!ok) process.exitCode = exitCodes.failed;
    });
}

/** A line for each finding, and below those that aren't fine what to do about them. */
export function describeFindings(findings: readonly Finding[]): string {
  const words = { ok: "ok", warning: "WARNING", wrong: "WRONG" } as const;
  const rows = findings.flatMap(({ check, level, says, fix }) => [
    [words[level], check, says],
    ...(fix === "" ? [] : [["", "", `→ ${fix}`]]),
  ]);
  const wrong = findings.filter(({ level }) => level === "wrong").length;
  const warnings = findings.filter(({ level }) => level === "warning").length;
  const verdict =
    wrong === 0
      ? `Nothing is wrong${warnings === 0 ? "." : `; ${count(warnings, "warning")}.`}`
      : `${count(wrong, "thing")} wrong, ${count(warnings, "warning")}.`;
  return `${renderTable(["", "CHECK", "FOUND"], rows)}\n\n${verdict}`;
}

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}
