// One builder for one work folder: a second one would clear away the first one's builds. The lock is
// a listening socket in Linux's abstract namespace, named for the folder: it belongs to exactly one
// process, and the kernel takes it back when that process ends, however it ends.
import { createServer } from "node:net";
import { ShoalError } from "@shoal/core/error";

export interface WorkDirLock {
  release(): Promise<void>;
}

/** @throws ShoalError `work_dir_in_use` */
export async function lockWorkDir(scope: string, workDir: string): Promise<WorkDirLock> {
  const server = createServer((socket) => socket.destroy());
  const listening = Promise.withResolvers<void>();
  server.once("error", (error) => listening.reject(error));
  server.listen(`\0shoal-builder-${scope}`, () => listening.resolve());
  try {
    await listening.promise;
  } catch (cause) {
    throw new ShoalError("work_dir_in_use", `Another builder works in ${workDir}.`, {
      blame: "environment",
      hint: "Give each builder a work folder of its own.",
      cause,
    });
  }
  server.unref();
  return {
    release: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
      }),
  };
}
