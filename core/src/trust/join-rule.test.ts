import { expect, test } from "vitest";
import { countingSeeder, judgeJoin, type JoinToken } from "./join-rule.ts";

const nowMs = 1_000_000;
const token: JoinToken = {
  role: "host",
  region: "north",
  labels: { pool: "web" },
  usesLeft: 1,
  expiresAtMs: nowMs + 1,
};
const host = { role: "host", region: "north", labels: {} } as const;

const cases = [
  ["a token that nobody knows", null, host, "join_token_invalid"],
  ["another region", token, { ...host, region: "south" }, "join_token_region_wrong"],
  ["another role", token, { ...host, role: "builder" }, "join_token_role_wrong"],
  ["another value of a label", token, { ...host, labels: { pool: "db" } }, "join_labels_wrong"],
  ["an ended token", { ...token, expiresAtMs: nowMs }, host, "join_token_expired"],
  ["a used token", { ...token, usesLeft: 0 }, host, "join_token_used_up"],
] as const;
test.for(cases)("%s isn't let in", ([, given, joining, code]) => {
  expect(judgeJoin(given, joining, nowMs)).toMatchObject({ type: "refused", error: { code } });
});

test("who names no region gets the token's", () => {
  const joining = { ...host, region: null };
  expect(judgeJoin(token, joining, nowMs)).toMatchObject({ type: "admitted" });
});

test("a host gets the token's labels, and keeps what the token doesn't name", () => {
  const labels = { pool: "web", disk: "ssd" };
  const joining = { ...host, labels: { disk: "ssd" } };
  expect(judgeJoin(token, joining, nowMs)).toEqual({ type: "admitted", labels });
  expect(judgeJoin(token, { ...host, labels }, nowMs)).toEqual({ type: "admitted", labels });
});

test("one seeder counts a token, whatever the order of the list; tokens are spread over all", () => {
  const seeders = ["a", "b", "c"];
  const counters = new Set<string | null>();
  for (let index = 0; index < 50; index += 1) {
    const counter = countingSeeder(`token-${index}`, seeders);
    expect(countingSeeder(`token-${index}`, seeders.toReversed())).toBe(counter);
    counters.add(counter);
  }
  expect(counters.size).toBe(3);
  expect(countingSeeder("token", [])).toBeNull();
});
