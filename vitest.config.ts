// How tests run: which files belong to which project, and who prints the last line. Projects run one
// after the other (groupOrder, from 1 on: 0 comes last), cheapest first, because the later ones start
// servers and fleets.
import { defineConfig } from "vitest/config";
import { TotalsReporter } from "./test/vitest/totals-reporter.ts";

const minuteMs = 60_000;
const pgTests = "**/src/**/*.pg.test.ts";
const never = ["**/node_modules/**", "**/fixtures/**"];

/** Files at a time: most of what they do is waiting, so that more than the default (cores - 1) pays. */
const workers = 2;

/** Of a test that takes a second on a machine of its own: it says that one hangs, and nothing of speed. */
const unitMsMax = minuteMs / 2;

/** `npm test` and nothing after it: then every project must have run something. */
const isWhole = process.argv.slice(2).join(" ") === "run";

export default defineConfig({
  test: {
    reporters: ["default", new TotalsReporter({ isWhole })],
    // A test that needs a variable sets it itself; nothing of one test file is left to the next.
    unstubEnvs: true,
    unstubGlobals: true,
    restoreMocks: true,
    projects: [
      {
        test: {
          name: "core",
          include: ["core/src/**/*.test.ts"],
          exclude: never,
          setupFiles: ["test/vitest/pure-core.ts"],
          maxWorkers: workers,
          testTimeout: unitMsMax,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: "unit",
          include: ["**/src/**/*.test.ts"],
          exclude: [...never, "core/**", pgTests],
          maxWorkers: workers,
          testTimeout: unitMsMax,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: "repo",
          include: ["test/repo/**/*.test.ts", "test/vitest/**/*.test.ts"],
          exclude: never,
          maxWorkers: workers,
          testTimeout: unitMsMax,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: "pg",
          // Real servers on a machine that others use too: once more before it counts as a failure.
          retry: 1,
          include: [pgTests],
          exclude: never,
          maxWorkers: workers,
          testTimeout: minuteMs / 2,
          hookTimeout: minuteMs,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: "e2e",
          // As above: whole fleets in real time, on two cores.
          retry: 1,
          include: ["test/**/*.test.ts"],
          exclude: [...never, "test/repo/**", "test/vitest/**"],
          maxWorkers: workers,
          testTimeout: 5 * minuteMs,
          hookTimeout: 5 * minuteMs,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
