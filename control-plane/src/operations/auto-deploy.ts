// What happens by itself: builds of a branch that are deployed, releases that were well for a time that
// are promoted. A rule acts in its own name and is held to everything that a person is held to.
import { ShoalError } from "@shoal/core/error";
import {
  type DueDeploy,
  noteAutoBuild,
  noteWell,
  promotionsDue,
  servicesToWatch,
  successfulBranchBuilds,
} from "../db/auto-deploys.ts";
import type { Queries } from "../db/connection.ts";
import { serviceCountsOf } from "../db/seeders.ts";
import { seederSilentMs } from "@shoal/core/limits";
import { deploy } from "./deploy.ts";
import type { DriveDeps } from "./drive-service.ts";

export interface AutoDeployDeps extends DriveDeps {
  readonly log: { info(facts: object, message: string): void };
}

/** One round: deploys what the environments' rules say is due. Repeating it is harmless. */
export async function deployWhatIsDue(deps: AutoDeployDeps): Promise<void> {
  for (const due of await successfulBranchBuilds(deps.database)) {
    await deployDue(deps, due, `branch ${due.branch}`);
  }
  await watchWellness(deps.database);
  for (const due of await promotionsDue(deps.database)) {
    await deployDue(deps, due, `promotion from ${due.from}`);
  }
}

/** A rollout under way is waited for; what is refused for good isn't tried again. */
async function deployDue(deps: AutoDeployDeps, due: DueDeploy, by: string): Promise<void> {
  const { environment, service, build } = due;
  const name = { environment, service };
  try {
    await deploy(deps, name, build, by);
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    if (error.code === "rollout_running") return;
    if (error.blame !== "remote") throw error;
    deps.log.info({ ...name, build, by, reason: error.message }, "not deployed by a rule");
  }
  await noteAutoBuild(deps.database, name, build);
}

/** Since when the hosts of services that others promote from are well, by their seeders' counts. */
async function watchWellness(database: Queries): Promise<void> {
  for (const { environment, service, release } of await servicesToWatch(database)) {
    const seeders = await serviceCountsOf(database, environment, service, seederSilentMs);
    const counted = seeders.flatMap(({ fresh, counts }) =>
      fresh && counts !== null ? [counts] : [],
    );
    let [reporting, healthy, failed] = [0, 0, 0];
    for (const counts of counted) {
      const one = counts.releases.find((candidate) => candidate.release === release);
      reporting += counts.reporting;
      healthy += one?.healthy ?? 0;
      failed += one?.failed ?? 0;
    }
    // A region whose seeders are silent, and hosts that don't report, aren't known to be well.
    const isHeard = seeders.length > 0 && counted.length === seeders.length;
    const isWell = isHeard && reporting > 0 && healthy === reporting && failed === 0;
    await noteWell(database, { environment, service }, release, isWell);
  }
}
