import { ShoalError } from "@shoal/core/error";
import { expect, test } from "vitest";
import { createLog } from "./log.ts";

function logged(write: (log: ReturnType<typeof createLog>) => void): Record<string, unknown>[] {
  const lines: string[] = [];
  write(createLog("probe", "info", { write: (line) => void lines.push(line) }));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

test("a log line is JSON with the process, the level in words and an RFC 3339 time", () => {
  const [line] = logged((log) => log.info({ build: 7 }, "leased"));
  expect(line).toMatchObject({
    process: "probe",
    pid: process.pid,
    level: "info",
    build: 7,
    message: "leased",
  });
  expect(line?.["time"]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
});

test("a log line below the level isn't written", () => {
  expect(logged((log) => log.debug("no"))).toEqual([]);
});

test("a log line about an error of ours has its code, hint and details", () => {
  const error = new ShoalError("goal_invalid", "no", {
    blame: "remote",
    hint: "Look.",
    details: { a: 1 },
  });
  const [line] = logged((log) => log.warn({ error }, "refused"));
  expect(line?.["error"]).toMatchObject({
    code: "goal_invalid",
    message: "no",
    hint: "Look.",
    details: { a: 1 },
  });
});

test("a log line doesn't show values under the names of secrets", () => {
  const [line] = logged((log) =>
    log.info({ token: "hunter2", lease: { grant: "hunter2", build: 1 } }, "x"),
  );
  expect(JSON.stringify(line)).not.toContain("hunter2");
  expect(line?.["lease"]).toMatchObject({ build: 1 });
});
