// How `shoal agent verify --repair`, a process of its own, asks the agent that works in the same state
// folder to mend an artifact: an empty file `<state folder>/repairs/<cid>`. The agent removes it once the
// artifact is whole again, or nothing is left to mend. A request outlasts a restart of either.
import { mkdir, readdir, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ShoalError } from "@shoal/core/error";
import { isArtifactCid, type ArtifactCid } from "@shoal/core/ids";
import { repairMsMax, repairPollMs } from "@shoal/core/limits";
import { lockFolder } from "@shoal/daemon/folder-lock";
import type { Log } from "@shoal/daemon/log";
import { startLoop, type Loop } from "@shoal/daemon/loop";
import { errorCode, ignoreMissing } from "@shoal/store/durable-file";
import type { Artifacts } from "./artifacts/artifacts.ts";

const repairsName = "repairs";

export interface RepairsDeps {
  readonly artifacts: Pick<Artifacts, "mend" | "isHeld">;
  readonly log: Log;
}

/** Does what is asked for in the state folder, until it is stopped. */
export function startRepairs({ artifacts, log }: RepairsDeps, stateDir: string): Loop {
  const folder = join(stateDir, repairsName);
  const mending = new Set<ArtifactCid>();
  return startLoop({
    name: "repairs",
    intervalMs: repairPollMs,
    log,
    run: async () => {
      for (const cid of await requestsIn(folder)) {
        if (!mending.has(cid)) {
          log.info({ cid }, "repair asked for");
          mending.add(cid);
          // What is in use and named by no goal can't be mended; its program ends some day.
          if ((await artifacts.mend(cid)) === "mending") continue;
        } else if (!artifacts.isHeld(cid)) {
          continue;
        }
        mending.delete(cid);
        await unlink(join(folder, cid)).catch(ignoreMissing);
      }
    },
  });
}

/**
 * Asks the agent of a state folder to mend an artifact and waits until it has. Throws `agent_not_running`
 * or `repair_unfinished`.
 */
export async function askForRepair(
  stateDir: string,
  cid: ArtifactCid,
  waitMsMax: number = repairMsMax,
): Promise<void> {
  const folder = join(stateDir, repairsName);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(join(folder, cid), "");
  const endAt = performance.now() + waitMsMax;
  while ((await requestsIn(folder)).includes(cid)) {
    await requireAgent(stateDir);
    if (performance.now() > endAt) {
      throw new ShoalError("repair_unfinished", `${cid} isn't repaired yet`, {
        blame: "environment",
        retryable: true,
        hint: "The agent goes on with it. What it waits for is in its log and in shoal status.",
      });
    }
    await sleep(repairPollMs / 4);
  }
}

async function requestsIn(folder: string): Promise<readonly ArtifactCid[]> {
  const names = await readdir(folder).catch((error: unknown): string[] => {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  });
  return names.filter(isArtifactCid);
}

/** The agent holds its folder's lock for as long as it lives. */
async function requireAgent(stateDir: string): Promise<void> {
  try {
    await (await lockFolder("agent", stateDir)).release();
  } catch (error) {
    if (error instanceof ShoalError && error.code === "folder_in_use") return;
    throw error;
  }
  throw new ShoalError("agent_not_running", `no agent works in ${stateDir}`, {
    blame: "environment",
    hint: "Start it: it repairs when it starts, and fetches only what is wrong.",
  });
}
