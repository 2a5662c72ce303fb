// The search finds what it is there for: each mutant is run as a process of its own, whose loader puts
// the mistake into the scheduler's source.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { mutants } from "./mutants.ts";

const worldsMax = 200;
const main = fileURLToPath(new URL("../main.ts", import.meta.url));

interface Outcome {
  readonly exitCode: number;
  readonly figures: Readonly<Record<string, number>>;
  readonly told: string;
}

function searchWith(mutant: string): Promise<Outcome> {
  const mutate = new URL("mutate.ts", import.meta.url);
  mutate.searchParams.set("mutant", mutant);
  const search = ["sim", "--search", String(worldsMax), "--json"];
  const args = ["--import", mutate.href, main, ...search];
  return new Promise((resolve) => {
    execFile(process.execPath, args, (error, stdout, stderr) => {
      const { figures } = JSON.parse(stdout) as Pick<Outcome, "figures">;
      resolve({ exitCode: Number(error?.code ?? 0), figures, told: stderr });
    });
  });
}

test.for(mutants)(
  "a scheduler that $name is caught, and the command is printed that shows it again",
  { timeout: 300_000 },
  async ({ kind, name }) => {
    const { exitCode, figures, told } = await searchWith(name);
    expect(figures["failures"]).toBe(1);
    expect(figures["worlds"]).toBeLessThanOrEqual(worldsMax);
    expect(exitCode).toBe(kind === "liveness" ? 3 : 4);
    expect(told).toContain('npm run bench -- sim --scenario \'{"seed":');
  },
);
