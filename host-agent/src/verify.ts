// `shoal agent verify`: reads every release that is whole on this host's disk and says what isn't as it
// should be. Changes nothing, so it may run beside the agent. Repair is the agent's: when it starts, it
// checks each release that goals name, sets a damaged one aside, takes from it every chunk that is right
// and fetches only the others, while the programs go on.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { ShoalError } from "@shoal/core/error";
import { isArtifactCid, type ArtifactCid } from "@shoal/core/ids";
import { readConfig, type ConfigSources } from "@shoal/daemon/config";
import { readReleaseManifest, sealedName, treeName } from "@shoal/store/release-records";
import { checkAgainst, type TreeCheck } from "@shoal/store/tree-check";
import { z } from "zod";
import { agentConfig, releasesName } from "./config.ts";

const verifyConfig = z.strictObject({
  stateDir: agentConfig.shape.stateDir,
  json: z.boolean().default(false).describe("print one JSON line for each release"),
});

export interface VerifiedRelease extends TreeCheck {
  readonly artifact: ArtifactCid;
}

/** Checks one release after another; those that are still being fetched are left out. */
export async function* verifyReleases(stateDir: string): AsyncGenerator<VerifiedRelease> {
  const releases = join(stateDir, releasesName);
  for (const artifact of (await readdir(releases)).filter(isArtifactCid).toSorted()) {
    const dir = join(releases, artifact);
    const names = await readdir(dir);
    const manifest = (await readReleaseManifest(dir))?.manifest;
    if (manifest === undefined || !names.includes(sealedName)) continue;
    yield { artifact, ...(await checkAgainst(join(dir, treeName), manifest)) };
  }
}

/** Runs the command and answers its exit status: 1 when something is wrong, 2 when it can't run. */
export async function runVerify(
  sources: ConfigSources,
  print: (line: string) => void,
): Promise<number> {
  try {
    return await verify(readConfig(verifyConfig, sources), print);
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    print(error.message);
    return error.code === "help_requested" ? 0 : 2;
  }
}

async function verify(
  { stateDir, json }: z.infer<typeof verifyConfig>,
  print: (line: string) => void,
): Promise<number> {
  let damagedCount = 0;
  for await (const release of verifyReleases(stateDir)) {
    const { artifact, problems, wrongChunks, wrongBytes } = release;
    if (problems.length > 0) damagedCount += 1;
    if (json) {
      print(JSON.stringify(release));
      continue;
    }
    print(`${artifact}  ${problems.length === 0 ? "is as it should be" : "is damaged"}`);
    for (const { path, problem } of problems) print(`  ${path} ${problem}`);
    if (problems.length > 0) print(`  ${wrongChunks.length} chunks, ${wrongBytes} bytes to fetch`);
  }
  if (damagedCount > 0 && !json) {
    print("Restart the agent: it fetches what is wrong, and programs go on meanwhile.");
  }
  return damagedCount === 0 ? 0 : 1;
}
