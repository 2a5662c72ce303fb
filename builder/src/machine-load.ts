// How busy the machine is, as people and scalers want to know it.
import { statfs } from "node:fs/promises";
import { availableParallelism, freemem, loadavg } from "node:os";
import type { BuilderLoad } from "@shoal/api/builder";

/** Of the machine, and of the disk that has the folder. Never rejects: no beat may fail for it. */
export async function machineLoad(folder: string): Promise<BuilderLoad> {
  const { bavail, bsize } = await statfs(folder).catch(() => ({ bavail: 0, bsize: 0 }));
  const [lastMinute = 0] = loadavg();
  return {
    cpuPercent: Math.round((lastMinute * 1000) / availableParallelism()) / 10,
    memoryFreeBytes: freemem(),
    diskFreeBytes: bavail * bsize,
  };
}
