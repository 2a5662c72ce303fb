import { expect, test } from "vitest";
import { selects } from "./selector.ts";
import { mayRun } from "./switch-rule.ts";

test("takes a host that has every label, and every host when there is none to have", () => {
  expect(selects({}, {})).toBe(true);
  expect(selects({ zone: "a" }, { zone: "a", disk: "ssd" })).toBe(true);
  expect(selects({ zone: "a", disk: "ssd" }, { zone: "a" })).toBe(false);
  expect(selects({ zone: "a" }, { zone: "b" })).toBe(false);
  expect(selects({ toString: "x" }, {})).toBe(false);
});

test("lets run whom the rule names, by list or by share", () => {
  expect(mayRun({ type: "none" }, "s", "a")).toBe(false);
  expect(mayRun({ type: "all" }, "s", "a")).toBe(true);
  expect(mayRun({ type: "hosts", hosts: ["a"] }, "s", "a")).toBe(true);
  expect(mayRun({ type: "hosts", hosts: ["a"] }, "s", "b")).toBe(false);
  expect(mayRun({ type: "share", share: 0, hosts: [] }, "s", "a")).toBe(false);
  expect(mayRun({ type: "share", share: 1, hosts: [] }, "s", "a")).toBe(true);
});
