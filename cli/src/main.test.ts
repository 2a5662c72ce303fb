import { execFile } from "node:child_process";
import { createServer } from "node:http";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exitCodes } from "./exit-codes.ts";

interface End {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const main = fileURLToPath(new URL("./main.ts", import.meta.url));
const server = createServer((request, response) => {
  response.writeHead(request.url === "/v1/builds/404" ? 404 : 200, {
    "content-type":
      request.url === "/v1/builds/404" ? "application/problem+json" : "application/json",
  });
  const problem = {
    type: "about:blank",
    title: "Not found",
    status: 404,
    detail: "There is no build 404.",
    code: "not_found",
    requestId: "r",
    retryable: false,
    hint: "shoal build list shows those there are",
  };
  response.end(JSON.stringify(request.url === "/v1/builds/404" ? problem : { nonsense: true }));
});
let dir: string;
let tokenFile: string;
let url: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "shoal-cli-"));
  tokenFile = join(dir, "token");
  await writeFile(tokenFile, "secret\n");
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.close();
  await rm(dir, { recursive: true });
});

function shoal(...args: readonly string[]): Promise<End> {
  return new Promise((settle) => {
    const options = { env: { PATH: "/usr/bin:/bin" }, timeout: 20_000 };
    execFile(process.execPath, [main, ...args], options, (error, stdout, stderr) => {
      settle({ status: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });
}

describe("the exit status of shoal", () => {
  test("is 0 for help, which goes to standard output", async () => {
    const { status, stdout } = await shoal("--help");
    expect(status).toBe(exitCodes.ok);
    expect(stdout).toContain("doctor");
  });

  test.for([
    [["no-such-command"], /unknown command/],
    [["build", "status", "seven"], /whole number/],
    [["build", "status", "7"], /No control plane was named[^]*SHOAL_URL/],
    [["build", "status", "7", "--url", "http://127.0.0.1:1"], /No token/],
    [["demo", "--hosts", "0"], /from 1 to/],
    [["demo", "--commit", "abc"], /--commit needs --repo/],
    [["demo", "--repo", "x"], /needs --commit/],
  ] as const)("is 2 for a command line that is wrong: %j", async ([args, says]) => {
    const { status, stdout, stderr } = await shoal(...args);
    expect(stderr).toMatch(says);
    expect(status).toBe(exitCodes.usage);
    expect(stdout).toBe("");
  });

  test("is 3 for a control plane that isn't there, and says where it looked", async () => {
    const there = ["--url", "http://127.0.0.1:1", "--token-file", tokenFile];
    const { status, stderr } = await shoal("build", "status", "7", ...there);
    expect(stderr).toContain("(control_plane_unreachable)");
    expect(status).toBe(exitCodes.unavailable);
  });

  test("is 2 for an answer that blames the question, with its words and hint", async () => {
    const { status, stderr } = await shoal(
      ...["build", "status", "404", "--url", url, "--token-file", tokenFile],
    );
    expect(stderr).toContain("There is no build 404. (not_found)");
    expect(stderr).toContain("shoal build list shows those there are");
    expect(status).toBe(exitCodes.usage);
  });

  test("is 3 for an answer that isn't one", async () => {
    const { status, stderr } = await shoal(
      ...["build", "status", "7", "--url", url, "--token-file", tokenFile],
    );
    expect(stderr).toContain("(answer_invalid)");
    expect(status).toBe(exitCodes.unavailable);
  });

  test("is 1 when the doctor finds something wrong, which is also in the JSON", async () => {
    const { status, stdout } = await shoal("doctor", "--json", "--keys", join(dir, "none"));
    const answer = JSON.parse(stdout) as { ok: boolean; findings: { level: string }[] };
    expect(answer.ok).toBe(false);
    expect(answer.findings.at(-1)).toMatchObject({ level: "wrong", check: "keys" });
    expect(status).toBe(exitCodes.failed);
  });
});
