// The whole path, as a newcomer runs it: real processes, one machine, three versions.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const shoal = fileURLToPath(new URL("../../cli/src/main.ts", import.meta.url));
const demoDeadlineMs = 240_000;

interface DemoAnswer {
  readonly ok: boolean;
  readonly deploys: readonly {
    readonly version: string;
    readonly state: string;
    readonly hosts: number;
    readonly converged: number;
    readonly seconds: number;
    readonly bytesFromSeeders: number;
    readonly bytesFromPeers: number;
    readonly bytesReused: number;
  }[];
  readonly refusal: string;
}

async function runDemo(
  args: readonly string[],
): Promise<{ readonly status: number | null; readonly stdout: string; readonly stderr: string }> {
  const child = spawn(process.execPath, [shoal, "demo", "--json", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  const timer = setTimeout(() => child.kill("SIGTERM"), demoDeadlineMs - 10_000);
  const [status] = (await once(child, "close")) as [number | null];
  clearTimeout(timer);
  return { status, ...output };
}

interface ServicesAnswer {
  readonly ok: boolean;
  readonly second: readonly {
    readonly service: string;
    readonly state: string;
    readonly runs: string;
    readonly hosts: number;
    readonly converged: number;
    readonly elsewhere: number;
  }[];
}

async function demoFolders(): Promise<readonly string[]> {
  return (await readdir(tmpdir())).filter((name) => name.startsWith("shoal-demo-"));
}

describe("the demo", () => {
  test(
    "brings two versions to twelve hosts, mostly from peers, and stops the third at its first host",
    { timeout: demoDeadlineMs },
    async () => {
      const foldersBefore = await demoFolders();
      const { status, stdout, stderr } = await runDemo(["--hosts", "12"]);
      expect(status, stderr).toBe(0);
      const answer = JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as DemoAnswer;
      expect(answer.ok).toBe(true);
      const [v1, v2, v3] = answer.deploys;
      expect(
        answer.deploys.map((deploy) => [
          deploy.version,
          deploy.state,
          deploy.hosts,
          deploy.converged,
        ]),
      ).toEqual([
        ["v1", "SUCCEEDED", 12, 12],
        ["v2", "SUCCEEDED", 12, 12],
        ["v3", "FAILED", 12, 12],
      ]);
      const moved = (deploy: typeof v1): number =>
        (deploy?.bytesFromSeeders ?? 0) + (deploy?.bytesFromPeers ?? 0);
      expect(moved(v1)).toBeGreaterThanOrEqual(12 * 64 * 1024 ** 2);
      expect(v1?.bytesFromPeers).toBeGreaterThan(v1?.bytesFromSeeders ?? 0);
      expect(moved(v2)).toBeLessThan(moved(v1) / 5);
      expect(moved(v2)).toBeGreaterThan(0);
      expect(v2?.bytesReused).toBeGreaterThan(0);
      expect(v3?.bytesReused).toBeGreaterThan(0);
      expect(answer.refusal).not.toBe("");
      expect(await demoFolders()).toEqual(foldersBefore);
    },
  );

  test(
    "deploys four services at once, one of them bad: that one goes back, and the others converge",
    { timeout: demoDeadlineMs },
    async () => {
      const { status, stdout, stderr } = await runDemo(["--hosts", "4", "--services", "4"]);
      expect(status, stderr).toBe(0);
      const answer = JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as ServicesAnswer;
      expect(answer.ok).toBe(true);
      const { second } = answer;
      expect(second.map(({ state, runs }) => `${state} ${runs}`).toSorted()).toEqual([
        "FAILED v1",
        ...Array.from({ length: 3 }, () => "SUCCEEDED v2"),
      ]);
      for (const { service, hosts, converged, elsewhere } of second) {
        expect([service, converged, elsewhere]).toEqual([service, hosts, 0]);
      }
    },
  );
});
