// Looks through worlds drawn from seeds for one in which the scheduler does what it may not, or in which
// somebody never finishes; makes that world as small and as quiet as it still fails in.
import { ShoalError } from "@shoal/core/error";
import { kibibyte } from "@shoal/core/units";
import { drawScenario } from "./draw.ts";
import type { RunReport } from "./report.ts";
import { runScenario } from "./run.ts";
import type { ScenarioFields } from "./scenario-file.ts";
import { scenarioWith, type Scenario } from "./scenario.ts";

/** What went wrong: an order that none may give, or a host that should have finished and didn't. */
export type Failure =
  | { readonly kind: "safety"; readonly what: string }
  | { readonly kind: "liveness"; readonly what: string };

export interface Found {
  readonly seed: number;
  readonly failure: Failure;
  /** The smallest world found that fails in the same way, in fields that aren't the defaults. */
  readonly scenario: ScenarioFields;
}

/** Runs worlds from a seed on; answers the first failure, or undefined when there is none. */
export function search(
  fromSeed: number,
  count: number,
  onWorld: (index: number) => void,
): Found | undefined {
  for (let index = 0; index < count; index += 1) {
    onWorld(index);
    const seed = fromSeed + index;
    const scenario = drawScenario(seed);
    const failure = failureOf(scenario);
    if (failure !== undefined) return { seed, ...shrunk(scenario, failure) };
  }
  return undefined;
}

export function failureOf(scenario: Scenario): Failure | undefined {
  const report = reportOf(scenario);
  if (typeof report === "string") return { kind: "safety", what: report };
  const { violation, isDone, unfinished } = report;
  if (violation !== undefined) return { kind: "safety", what: violation };
  if (isDone) return undefined;
  const [first] = unfinished;
  return { kind: "liveness", what: `${unfinished.length} hosts never finish; one: ${first ?? ""}` };
}

/** A text when the scheduler found itself in a state that it may not be in. */
function reportOf(scenario: Scenario): RunReport | string {
  try {
    return runScenario(scenario, () => undefined);
  } catch (error) {
    if (error instanceof ShoalError && error.code === "assertion_failed") return error.message;
    throw error;
  }
}

/** The command that runs a world again. */
export function replayCommand(scenario: ScenarioFields): string {
  return `npm run bench -- sim --scenario '${JSON.stringify(scenario)}'`;
}

/** Takes every step that makes the world simpler and leaves it failing, until none does. */
function shrunk(scenario: Scenario, failure: Failure): Pick<Found, "failure" | "scenario"> {
  let smallest: Pick<Found, "failure" | "scenario"> = { failure, scenario: { ...scenario } };
  for (let isSmaller = true; isSmaller;) {
    isSmaller = false;
    for (const step of steps) {
      const simpler = step(smallest.scenario);
      if (simpler === undefined) continue;
      const still = failureOf(scenarioWith(simpler));
      if (still?.kind !== failure.kind) continue;
      smallest = { failure: still, scenario: simpler };
      isSmaller = true;
    }
  }
  return smallest;
}

type Step = (scenario: ScenarioFields) => ScenarioFields | undefined;

/** Faults first: a world without them says most. The seed stays, because it is in every draw. */
const steps: readonly Step[] = [
  ...(
    [
      "deathsPerMinute",
      "lyingShare",
      "silentShare",
      "slowShare",
      "seedersDie",
      "reusedShare",
      "joinMs",
      "farMbit",
      "memoryBytes",
      "diskBytesPerMs",
      "seederMbit",
      "seeders",
      "zones",
      "comeBackMs",
      "wipedShare",
      "deathNoticedMs",
      "slowFactor",
      "faultsEndMs",
      "mbit",
    ] as const
  ).map((field) => without(field)),
  halved("hosts", 1),
  halved("artifactBytes", 256 * kibibyte),
  lessOne("hosts", 1, 1),
  lessOne("artifactBytes", 256 * kibibyte, 256 * kibibyte),
  // It follows from the size where it isn't given.
  without("patienceMs"),
];

function without(field: keyof Scenario): Step {
  return (scenario) => {
    if (scenario[field] === undefined) return undefined;
    const { [field]: _default, ...rest } = scenario;
    return rest;
  };
}

function halved(field: "hosts" | "artifactBytes", least: number): Step {
  return (scenario) => {
    const half = Math.floor((scenario[field] ?? 0) / 2 / least) * least;
    return half < least ? undefined : { ...scenario, [field]: half };
  };
}

function lessOne(field: "hosts" | "artifactBytes", one: number, least: number): Step {
  return (scenario) => {
    const less = (scenario[field] ?? 0) - one;
    return less < least ? undefined : { ...scenario, [field]: less };
  };
}
