import { describe, expect, test } from "vitest";
import { healthyMachine } from "../doctor/machine.test-kit.ts";
import { requireGit, whyNoSandbox } from "./requirements.ts";

describe("what the demo needs", () => {
  test("is there on a machine with git and bubblewrap", async () => {
    await requireGit(healthyMachine());
    expect(await whyNoSandbox(healthyMachine())).toBeNull();
  });

  test("names what to install when git isn't there", async () => {
    const without = healthyMachine({ run: async () => null });
    await expect(requireGit(without)).rejects.toMatchObject({
      code: "git_missing",
      hint: expect.stringContaining("apt-get install git"),
    });
  });

  test("says in one line how to isolate builds when bubblewrap isn't there", async () => {
    const line = await whyNoSandbox(healthyMachine({ run: async () => null }));
    expect(line).toMatch(/^Builds run without isolation: .*apt-get install bubblewrap/);
    expect(line).not.toContain("\n");
  });

  test("says so too when bubblewrap is there and may not work", async () => {
    const run = async (program: string, args: readonly string[]) => ({
      ok: args[0] === "--version",
      text: "Operation not permitted",
    });
    expect(await whyNoSandbox(healthyMachine({ run }))).toMatch(/Operation not permitted/);
  });
});
