// How much a folder grows at most while something is going on in it: allocated bytes, as `du` says.
import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

export interface DiskPeak {
  /** Resolves when the size to begin with is known. */
  readonly begun: Promise<void>;
  /** The most bytes beyond that. */
  stop(): Promise<number>;
}

const pollMs = 400;

export function diskPeak(folder: string): DiskPeak {
  const controller = new AbortController();
  const { promise: begun, resolve, reject } = Promise.withResolvers<void>();
  const watched = (async (): Promise<number> => {
    const before = await usedBytes(folder);
    resolve();
    let most = before;
    while (!controller.signal.aborted) {
      await sleep(pollMs, undefined, { signal: controller.signal }).catch(() => undefined);
      most = Math.max(most, await usedBytes(folder));
    }
    return most - before;
  })();
  watched.catch(reject);
  return {
    begun,
    stop: () => {
      controller.abort();
      return watched;
    },
  };
}

/** Files may come and go meanwhile: `du` complains about those and goes on. */
function usedBytes(folder: string): Promise<number> {
  return new Promise((resolve, reject) => {
    execFile("du", ["-s", "-B1", folder], (error, stdout) => {
      const bytes = Number.parseInt(stdout, 10);
      if (Number.isNaN(bytes)) reject(error ?? new Error("du says nothing"));
      else resolve(bytes);
    });
  });
}
