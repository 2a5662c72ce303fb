// Runs a world of several lanes, each in a thread of its own; the first one is this thread.
import { ShoalError } from "@shoal/core/error";
import type { SwarmConfig } from "@shoal/core/swarm/config";
import { Worker } from "node:worker_threads";
import { LaneBarrier, barrierMemory, othersFailed } from "./lane-barrier.ts";
import { LaneBox, laneBoxMemory } from "./lane-box.ts";
import { windowMsOf, type Lane } from "./lane.ts";
import { reportOf, type LaneOutcome, type RunReport } from "./report.ts";
import { LaneRun, runScenario, type OnProgress } from "./run.ts";
import type { Scenario } from "./scenario.ts";

/** What a thread needs to run one lane of a world. */
export interface LaneTask {
  readonly scenario: Scenario;
  readonly config: Partial<SwarmConfig>;
  readonly index: number;
  readonly barrier: SharedArrayBuffer;
  /** From each lane to each. */
  readonly boxes: readonly (readonly SharedArrayBuffer[])[];
  /** `bookSize` doubles of each lane. */
  readonly books: SharedArrayBuffer;
}

const bookSize = 8;
const doneAt = 0;
const eventsAt = 1;

const workerUrl: URL = new URL("lane-worker.ts", import.meta.url);
const windowsBetweenProgress = 1000;

/** Runs a world of any number of lanes. `config` is for hosts that aren't ours: a baseline. */
export async function runInLanes(
  scenario: Scenario,
  onProgress: OnProgress,
  config: Partial<SwarmConfig> = {},
): Promise<RunReport> {
  const { lanes } = scenario;
  if (lanes === 1) return runScenario(scenario, onProgress, config);
  const { seedersDie } = scenario;
  if (seedersDie || windowMsOf(scenario) === 0) {
    const message = "several lanes need messages that take some time, and no seedersDie";
    throw new ShoalError("config_invalid", message, { blame: "local" });
  }
  const startedAt = performance.now();
  const indexes = Array.from({ length: lanes }, (_unused, index) => index);
  const shared = {
    ...{ scenario, config, barrier: barrierMemory() },
    boxes: indexes.map(() => indexes.map(laneBoxMemory)),
    books: new SharedArrayBuffer(lanes * bookSize * Float64Array.BYTES_PER_ELEMENT),
  };
  const others = indexes.slice(1).map((index) => outcomeOf({ ...shared, index }));
  // Of a failure here the others hear at their next meeting, and this one of theirs.
  const own = new Promise<LaneOutcome>((resolve) => {
    resolve(runLane({ ...shared, index: 0 }, onProgress));
  });
  const outcomes = await allOf([own, ...others]);
  return reportOf(scenario, performance.now() - startedAt, outcomes);
}

/** Throws what failed first, and not what failed because of it. */
async function allOf(lanes: readonly Promise<LaneOutcome>[]): Promise<readonly LaneOutcome[]> {
  const settled = await Promise.allSettled(lanes);
  const failures = settled.flatMap((lane) => (lane.status === "rejected" ? [lane.reason] : []));
  const isCause = (error: unknown): boolean => !String(error).includes(othersFailed);
  if (failures.length > 0) throw failures.find(isCause) ?? failures[0];
  return settled.flatMap((lane) => (lane.status === "fulfilled" ? [lane.value] : []));
}

/** Runs one lane, in step with the others, to the end of the world. */
export function runLane(task: LaneTask, onProgress: OnProgress = () => undefined): LaneOutcome {
  const barrier = new LaneBarrier(task.barrier, task.scenario.lanes);
  try {
    const run = new LaneRun(task.scenario, task.config, laneFrom(task));
    runWindows(run, task, barrier, onProgress);
    return run.finish();
  } catch (error) {
    barrier.fail();
    throw error;
  }
}

function runWindows(
  run: LaneRun,
  { scenario, index, books }: LaneTask,
  barrier: LaneBarrier,
  onProgress: OnProgress,
): void {
  const { world, honestCount } = run;
  const { lanes, patienceMs } = scenario;
  const windowMs = windowMsOf(scenario);
  const book = new Float64Array(books);
  const sumOf = (field: number): number => {
    let sum = 0;
    for (let lane = 0; lane < lanes; lane += 1) sum += book[lane * bookSize + field] as number;
    return sum;
  };
  let windows = 0;
  for (let endMs = windowMs; endMs < patienceMs; endMs += windowMs) {
    run.go(endMs, () => undefined);
    book[index * bookSize + doneAt] = run.doneCount;
    book[index * bookSize + eventsAt] = run.events;
    barrier.meet();
    // All lanes read the same, and nobody writes before all have read.
    if (sumOf(doneAt) === honestCount) return;
    windows += 1;
    if (windows % windowsBetweenProgress === 0) {
      onProgress({ ...run.progress, events: sumOf(eventsAt), doneCount: sumOf(doneAt) });
    }
    world.takeMail();
    barrier.meet();
    world.takeAnswers();
  }
}

function laneFrom({ scenario, index, boxes }: LaneTask): Lane {
  const box = (from: number, to: number): LaneBox | undefined => {
    const memory = boxes[from]?.[to];
    return from === to || memory === undefined ? undefined : new LaneBox(memory);
  };
  const all = Array.from({ length: scenario.lanes }, (_unused, lane) => lane);
  return {
    index,
    count: scenario.lanes,
    outboxes: all.map((to) => box(index, to)),
    inboxes: all.map((from) => box(from, index)),
  };
}

async function outcomeOf(task: LaneTask): Promise<LaneOutcome> {
  const worker = new Worker(workerUrl, { workerData: task });
  return new Promise((resolve, reject) => {
    worker.on("message", resolve);
    worker.on("error", reject);
    worker.on("exit", () => {
      reject(new Error("a lane ended without an outcome"));
    });
  });
}
