import { ShoalError } from "@shoal/core/error";
import { describe, expect, test } from "vitest";
import { examine } from "./examine.ts";
import type { Finding } from "./finding.ts";
import type { Machine } from "./machine.ts";
import { healthyMachine, kitNow } from "./machine.test-kit.ts";

const nothingAsked = {
  dir: "/var/lib/shoal",
  ports: [],
  url: undefined,
  databaseUrl: undefined,
  keysDir: null,
  rootPublicKey: undefined,
};

async function find(
  check: string,
  differences: Partial<Machine>,
  options: Partial<Parameters<typeof examine>[1]> = {},
): Promise<Finding | undefined> {
  const findings = await examine(healthyMachine(differences), { ...nothingAsked, ...options });
  return findings.find((finding) => finding.check === check);
}

const gibibyte = 1024 ** 3;
const mountsV1 = [
  "31 23 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
  "32 23 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids",
].join("\n");

describe("what the doctor finds", () => {
  test("says of a good machine that everything is fine, and has nothing to type", async () => {
    const findings = await examine(healthyMachine(), {
      ...nothingAsked,
      ports: [8080],
      url: "http://control.example",
      databaseUrl: "postgres://db.example/shoal",
    });
    expect(findings.filter(({ level, fix }) => level !== "ok" || fix !== "")).toEqual([]);
    expect(findings.map(({ check }) => check)).toEqual([
      "node",
      "git",
      "bubblewrap",
      "user namespaces",
      "control groups",
      "disk",
      "port 7400",
      "port 7441",
      "port 8080",
      "clock",
      "clock, compared",
      "database",
    ]);
  });

  test.for<readonly [string, string, Partial<Machine>, Finding["level"], RegExp, RegExp]>([
    ["an old Node", "node", { nodeVersion: "20.1.0" }, "wrong", /26 is needed/, /npm ci/],
    ["no git", "git", { run: async () => null }, "wrong", /isn't installed/, /apt-get install git/],
    [
      "an old git",
      "git",
      { run: async () => ({ ok: true, text: "git version 2.17.1" }) },
      "wrong",
      /2\.31 is needed/,
      /git/,
    ],
    [
      "no bubblewrap",
      "bubblewrap",
      { run: async () => null },
      "warning",
      /--sandbox none/,
      /apt-get install bubblewrap/,
    ],
    [
      "user namespaces turned off",
      "user namespaces",
      {
        run: async (program, args) => ({ ok: args.length === 1, text: "EPERM" }),
        readText: async (path) => (path.endsWith("unprivileged_userns_clone") ? "0\n" : null),
      },
      "warning",
      /EPERM/,
      /^sysctl kernel\.unprivileged_userns_clone=1$/,
    ],
    [
      "AppArmor in the way of user namespaces",
      "user namespaces",
      {
        run: async (program, args) => ({ ok: args.length === 1, text: "EPERM" }),
        readText: async (path) => (path.includes("apparmor") ? "1\n" : null),
      },
      "warning",
      /isolated/,
      /^sysctl kernel\.apparmor_restrict_unprivileged_userns=0$/,
    ],
    [
      "control groups that can't be written",
      "control groups",
      { isWritable: async () => false },
      "warning",
      /version 2 can't be written/,
      /Delegate=yes/,
    ],
    [
      "control groups without the controllers",
      "control groups",
      { readText: async (path) => (path.endsWith("mountinfo") ? mountsV1 : "") },
      "warning",
      /version 1 lacks cpu$/,
      /root/,
    ],
    ["a full disk", "disk", { freeBytes: async () => gibibyte }, "wrong", /1\.00 GiB/, /make room/],
    ["a small disk", "disk", { freeBytes: async () => 9 * gibibyte }, "warning", /9\.00/, /room/],
    [
      "a port that Shoal takes by default in use",
      "port 7400",
      { tryPort: async () => "EADDRINUSE" },
      "warning",
      /in use/,
      /sport = :7400/,
    ],
    ["a clock that was never set", "clock", { now: () => 0 }, "wrong", /1970/, /timedatectl/],
    [
      "no Postgres from npm",
      "database",
      {
        embeddedPostgres: async () => {
          throw new ShoalError("postgres_missing", "no package", {
            blame: "environment",
            hint: "run npm ci",
          });
        },
      },
      "wrong",
      /no package/,
      /^run npm ci$/,
    ],
  ])("tells of %s", async ([, check, differences, level, says, fix]) => {
    const finding = await find(check, differences);
    expect(finding).toMatchObject({ level });
    expect(finding?.says).toMatch(says);
    expect(finding?.fix).toMatch(fix);
  });

  test("tries user namespaces as an ordinary user when it is root", async () => {
    const users: (number | undefined)[] = [];
    const run: Machine["run"] = async (program, args, user) => {
      if (program === "bwrap" && args.length > 1) users.push(user);
      return { ok: true, text: "git version 3.0" };
    };
    await find("user namespaces", { run, isRoot: true });
    await find("user namespaces", { run, isRoot: false });
    expect(users).toEqual([65_534, undefined]);
  });

  test("calls a port wrong that somebody asked for", async () => {
    const busy = { tryPort: async () => "EADDRINUSE" };
    expect(await find("port 7400", busy, { ports: [7400] })).toMatchObject({ level: "wrong" });
    const privileged = await find("port 443", { tryPort: async () => "EACCES" }, { ports: [443] });
    expect(privileged).toMatchObject({ level: "wrong", fix: "take a port from 1024 on" });
  });

  test.for([
    [900, "ok"],
    [-900, "ok"],
    [10_000, "warning"],
    [-10_000, "warning"],
    [62_000, "wrong"],
    [Number.NaN, "warning"],
  ] as const)("judges a control plane's clock %i ms away as %s", async ([offsetMs, level]) => {
    // A Date header has whole seconds: the truth is up to one later.
    const serverTime = async () => ({ serverMs: kitNow + offsetMs, localMs: kitNow + 500 });
    const finding = await find("clock, compared", { serverTime }, { url: "http://control" });
    expect(finding?.level).toBe(level);
  });

  test("says of a control plane that doesn't answer that it doesn't", async () => {
    const serverTime = () => Promise.reject(new Error("fetch failed"));
    const finding = await find("clock, compared", { serverTime }, { url: "http://control" });
    expect(finding).toMatchObject({ level: "wrong" });
    expect(finding?.says).toContain("http://control doesn't answer: fetch failed");
  });

  test.for([
    ["postgres://user:secret@db.example:6432/shoal", 83, "ok", "db.example:6432"],
    ["postgres://user:secret@db.example/shoal", 72, "wrong", "db.example:5432 isn't Postgres"],
    ["mysql://user:secret@db.example/shoal", 78, "wrong", "isn't a postgres:// URL"],
  ] as const)("looks at %s without telling its password", async ([url, answer, level, says]) => {
    const finding = await find("database", { greet: async () => answer }, { databaseUrl: url });
    expect(finding?.level).toBe(level);
    expect(finding?.says).toContain(says);
    expect(JSON.stringify(finding)).not.toContain("secret");
  });

  test("says where it looked for a database that isn't there", async () => {
    const greet = () => Promise.reject(new Error("connect ECONNREFUSED"));
    const finding = await find("database", { greet }, { databaseUrl: "postgres://h:1/d" });
    expect(finding).toMatchObject({ level: "wrong" });
    expect(finding?.says).toContain("no Postgres at h:1: connect ECONNREFUSED");
  });
});
