// The thread of a lane but the first: runs it to its end, says what came of it, and ends.
import { assert } from "@shoal/core/error";
import { parentPort, workerData } from "node:worker_threads";
import { runLane, type LaneTask } from "./lanes.ts";

assert(parentPort !== null, "this runs in a thread of its own");
parentPort.postMessage(runLane(workerData as LaneTask), []);
