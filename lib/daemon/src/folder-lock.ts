// One process for one folder. The lock is a listening socket in Linux's abstract namespace, named for
// the folder: it belongs to exactly one process, and the kernel takes it back when that process ends,
// however it ends. Holds within one network namespace.
import { createHash } from "node:crypto";
import { realpath } from "node:fs/promises";
import { createServer } from "node:net";
import { ShoalError } from "@shoal/core/error";

export interface FolderLock {
  release(): Promise<void>;
}

/** Locks a folder that is there. Throws `folder_in_use` when another living process has it. */
export async function lockFolder(purpose: string, folder: string): Promise<FolderLock> {
  const path = await realpath(folder);
  // Names of sockets are short; 16 bytes of a hash are still nobody else's.
  const name = createHash("sha256").update(path).digest("hex").slice(0, 32);
  const server = createServer((socket) => socket.destroy());
  const listening = Promise.withResolvers<void>();
  server.once("error", (error) => listening.reject(error));
  server.listen(`\0shoal-${purpose}-${name}`, () => listening.resolve());
  try {
    await listening.promise;
  } catch (cause) {
    throw new ShoalError("folder_in_use", `Another ${purpose} works in ${path}.`, {
      blame: "environment",
      hint: `Give each ${purpose} a folder of its own, or wait until the other one has ended.`,
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
