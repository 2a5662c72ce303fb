import { describe, expect, test } from "vitest";
import { fine, warning, wrong } from "../doctor/finding.ts";
import { describeFindings } from "./doctor.ts";

describe("the doctor's words", () => {
  test("put what to type below what is wrong, and the verdict last", () => {
    const text = describeFindings([
      fine("git", "git version 2.39.5"),
      warning("disk", "9 GiB are free", "make room"),
      wrong("clock", "it is 1970", "timedatectl set-ntp true"),
    ]);
    const lines = text.split("\n").map((line) => line.replaceAll(/ {2,}/g, "|"));
    expect(lines).toEqual([
      "|CHECK|FOUND",
      "ok|git|git version 2.39.5",
      "WARNING|disk|9 GiB are free",
      "|→ make room",
      "WRONG|clock|it is 1970",
      "|→ timedatectl set-ntp true",
      "",
      "1 thing wrong, 1 warning.",
    ]);
  });

  test("say that nothing is wrong when only warnings are left", () => {
    expect(describeFindings([fine("git", "there")])).toMatch(/Nothing is wrong\.$/);
    expect(describeFindings([warning("disk", "small", "room")])).toMatch(/wrong; 1 warning\.$/);
  });
});
