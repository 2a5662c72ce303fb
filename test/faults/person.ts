// What a person does with a fleet: asks for builds and deploys, and asks again when nobody answers.
import type { Build, Rollout } from "@shoal/api/control-plane";
import { isFinalBuildState } from "@shoal/core/build/state";
import { ShoalError } from "@shoal/core/error";
import type { Fleet } from "./fleet.ts";
import { waitFor } from "./wait-for.ts";

const answerMsMax = 60_000;
export const buildMsMax = 180_000;
const rolloutMsMax = 120_000;
const healthyMsMax = 60_000;

/** The same commit asked for twice is one build, so asking again does no harm. */
export async function build(fleet: Fleet, project: string, commit: string): Promise<Build> {
  const started = await waitFor("the build to be taken", answerMsMax, () =>
    fleet.client.builds.start({ project, commit }),
  );
  return waitFor(`build ${started.id} to end`, buildMsMax, async () => {
    const now = await fleet.client.builds.get(started.id);
    return isFinalBuildState(now.state) ? now : null;
  });
}

/** Deploys and waits for the rollout's end. An answer that was lost is looked up. */
export async function deploy(fleet: Fleet, service: string, build: Build): Promise<Rollout> {
  const { id } = await waitFor("the deploy to be taken", answerMsMax, () =>
    startRollout(fleet, service, build),
  );
  return waitFor(`rollout ${id} to end`, rolloutMsMax, async () => {
    const now = await fleet.client.rollouts.get(id);
    return now.endedAt === null ? null : now;
  });
}

async function startRollout(fleet: Fleet, service: string, build: Build): Promise<Rollout> {
  try {
    return await fleet.client.services.deploy("production", service, { build: build.id });
  } catch (error) {
    if (!(error instanceof ShoalError) || error.code !== "rollout_running") throw error;
    const { items } = await fleet.client.rollouts.list({ limit: 10 });
    const mine = items.find(
      (one) => one.service === service && one.release.artifact === build.artifact,
    );
    if (mine === undefined) throw error;
    return mine;
  }
}

/** Waits until every host of the fleet runs the release healthily. */
export async function allHealthy(fleet: Fleet, hosts: number, release: string): Promise<void> {
  let seen = "";
  try {
    await waitFor("healthy hosts", healthyMsMax, async () => {
      const services = (await fleet.hosts()).flatMap(({ host, services }) =>
        services.map((service) => ({ host, ...service })),
      );
      seen = JSON.stringify(services);
      const well = services.filter(({ running, healthy }) => running === release && healthy);
      return well.length === hosts ? true : null;
    });
  } catch (error) {
    throw new Error(`not every host runs ${release}: ${seen}`, { cause: error });
  }
}
