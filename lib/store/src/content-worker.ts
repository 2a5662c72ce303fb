// A thread of content-pool.ts: does one job after another until it is ended.
import { parentPort } from "node:worker_threads";
import { freeJob, runContentJob, transfersOf, type ContentJob } from "./content-jobs.ts";

parentPort?.on("message", ({ id, job }: { readonly id: number; readonly job: ContentJob }) => {
  try {
    const answer = runContentJob(job);
    freeJob(job, answer);
    parentPort?.postMessage({ id, answer }, transfersOf(answer));
  } catch (error) {
    parentPort?.postMessage({ id, error }, []);
  }
});
