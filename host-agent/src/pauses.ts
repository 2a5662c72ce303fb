// What a person has paused on this host: an empty file for each in `<state folder>/paused`, named by an
// artifact's CID or `<environment>,<service>`. A command writes there, the agent looks every now and then;
// so it holds over restarts of either, and doesn't need the other to run.
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ShoalError } from "@shoal/core/error";
import { type ArtifactCid, isArtifactCid, isName } from "@shoal/core/ids";
import { pausePollMs, pausesMax } from "@shoal/core/limits";
import type { Log } from "@shoal/daemon/log";
import { startLoop, type Loop } from "@shoal/daemon/loop";
import { errorCode } from "@shoal/store/durable-file";

const folderName = "paused";

/** As a person names it: an artifact's CID, or `<environment>/<service>`. */
export type PauseTarget = string;

/** Which artifacts a service wants. */
export interface Demand {
  readonly environment: string;
  readonly service: string;
  readonly artifacts: readonly ArtifactCid[];
}

/** What a person wrote as it is kept; throws `pause_target_invalid`. */
export function readTarget(text: string): PauseTarget {
  if (isArtifactCid(text)) return text;
  const [environment = "", service = "", ...rest] = text.includes("/")
    ? text.split("/")
    : ["production", text];
  const isRight = [environment, service].every(isName);
  if (isRight && rest.length === 0) return `${environment}/${service}`;
  throw new ShoalError("pause_target_invalid", `${text} is no artifact and no service`, {
    blame: "local",
    hint: "Name an artifact by its CID, or a service as <environment>/<service>; shoal why says both.",
  });
}

/** In the order of their names. */
export async function readPauses(stateDir: string): Promise<readonly PauseTarget[]> {
  const names = await readdir(join(stateDir, folderName)).catch((error: unknown): string[] => {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  });
  const targets = names.map((name) => name.replace(",", "/")).filter(isTarget);
  return targets.toSorted().slice(0, pausesMax);
}

/** Pauses it, or lets it go on. False when it was so already. Throws `pauses_full`. */
export async function writePause(
  stateDir: string,
  target: PauseTarget,
  paused: boolean,
): Promise<boolean> {
  const known = await readPauses(stateDir);
  if (known.includes(target) === paused) return false;
  const path = join(stateDir, folderName, target.replace("/", ","));
  if (!paused) {
    await rm(path, { force: true });
    return true;
  }
  if (known.length >= pausesMax) {
    throw new ShoalError("pauses_full", `${pausesMax} artifacts and services are paused here`, {
      blame: "local",
      hint: "Let one of them go on first: shoal agent resume.",
    });
  }
  await mkdir(join(stateDir, folderName), { recursive: true, mode: 0o700 });
  await writeFile(path, "", { mode: 0o600, flush: true });
  return true;
}

/**
 * Artifacts that aren't to be fetched: those that are named, and those that are wanted by services that are
 * paused and by no other one.
 */
export function pausedArtifacts(
  targets: readonly PauseTarget[],
  demands: readonly Demand[],
): ReadonlySet<ArtifactCid> {
  const isPaused = ({ environment, service }: Demand): boolean =>
    targets.includes(`${environment}/${service}`);
  const artifactsOf = (each: readonly Demand[]): ReadonlySet<ArtifactCid> =>
    new Set(each.flatMap(({ artifacts }) => artifacts));
  const held = artifactsOf(demands.filter(isPaused));
  const free = artifactsOf(demands.filter((demand) => !isPaused(demand)));
  const named = targets.filter((target) => isArtifactCid(target));
  return new Set([...named, ...[...held].filter((cid) => !free.has(cid))]);
}

export interface PausesDeps {
  readonly changed: (targets: readonly PauseTarget[]) => void;
  readonly log: Log;
}

/** Tells of what differs from `known`, until it is stopped. */
export function followPauses(
  { changed, log }: PausesDeps,
  stateDir: string,
  known: readonly PauseTarget[],
): Loop {
  let last = known.join();
  return startLoop({
    name: "pauses",
    intervalMs: pausePollMs,
    log,
    run: async () => {
      const targets = await readPauses(stateDir);
      if (targets.join() === last) return;
      last = targets.join();
      log.info({ paused: targets }, "what is paused has changed");
      changed(targets);
    },
  });
}

function isTarget(text: string): boolean {
  try {
    return readTarget(text) === text;
  } catch {
    return false;
  }
}
