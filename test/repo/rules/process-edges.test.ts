import { expect, test } from "vitest";
import { complaints } from "./bad-example.ts";
import { processEdges } from "./process-edges.ts";

const text = "export const a = process.env;\nprocess.exit(1);\n";

test("the environment and the exit of a process are for its edge", () => {
  expect(complaints(processEdges, { "seeder/src/pull.ts": text })).toHaveLength(2);
  expect(complaints(processEdges, { "seeder/src/config.ts": text })).toHaveLength(1);
  expect(complaints(processEdges, { "seeder/src/main.ts": text })).toEqual([]);
});

test("other members of process are free", () => {
  expect(complaints(processEdges, { "seeder/src/pull.ts": "process.pid;" })).toEqual([]);
});
