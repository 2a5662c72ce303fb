// `npm run check`: everything that can be said about the repository without running it. Each step
// prints how many files it looked at; the exit status is 0 when all of them passed.
import { listFiles } from "./repository.ts";
import { boundaries } from "./steps/boundaries.ts";
import { format } from "./steps/format.ts";
import { lint } from "./steps/lint.ts";
import { judge } from "./steps/step.ts";
import { tidy } from "./steps/tidy.ts";
import { typeCheck } from "./steps/type-check.ts";
import { unused } from "./steps/unused.ts";

const steps = [format, lint, typeCheck, boundaries, unused, tidy];
const paths = listFiles();
const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !steps.some((step) => step.name === name));
if (unknown.length > 0) {
  console.error(`no such check: ${unknown.join(", ")}`);
  process.exit(2);
}

for (const step of steps) {
  if (asked.length > 0 && !asked.includes(step.name)) continue;
  const result = await step.run(paths);
  const { passed, line } = judge(step.name, result);
  if (!passed) {
    process.exitCode = 1;
    console.log(result.problems);
  }
  console.log(line);
}
