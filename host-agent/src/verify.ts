// `shoal agent verify`: reads every release that is whole on this host's disk and says what isn't as it
// should be. Changes nothing, so it may run beside the agent. Repair is the agent's, when it starts and
// when `--repair` asks for it: it sets a damaged release that goals name aside, takes from it every chunk
// that is right and fetches only the others, while the programs go on.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { ShoalError } from "@shoal/core/error";
import { isArtifactCid, type ArtifactCid } from "@shoal/core/ids";
import { readConfig, type ConfigSources } from "@shoal/daemon/config";
import { ignoreMissing } from "@shoal/store/durable-file";
import { readReleaseManifest, sealedName, treeName } from "@shoal/store/release-records";
import { checkAgainst, type TreeCheck } from "@shoal/store/tree-check";
import { z } from "zod";
import { agentConfig, releasesName } from "./config.ts";
import { askForRepair } from "./repair.ts";

const verifyConfig = z.strictObject({
  stateDir: agentConfig.shape.stateDir,
  repair: z
    .boolean()
    .default(false)
    .describe("let the running agent fetch what is wrong, and wait for it"),
  json: z.boolean().default(false).describe("print one JSON line for each release"),
});

export interface VerifiedRelease extends TreeCheck {
  readonly artifact: ArtifactCid;
}

/** Checks one release after another; those that are still being fetched are left out. */
export async function* verifyReleases(stateDir: string): AsyncGenerator<VerifiedRelease> {
  const releases = join(stateDir, releasesName);
  for (const artifact of (await readdir(releases)).filter(isArtifactCid).toSorted()) {
    const verified = await verifyRelease(stateDir, artifact);
    if (verified !== undefined) yield verified;
  }
}

/** Undefined when the release isn't there or isn't whole. */
async function verifyRelease(
  stateDir: string,
  artifact: ArtifactCid,
): Promise<VerifiedRelease | undefined> {
  const dir = join(stateDir, releasesName, artifact);
  const names = await readdir(dir).catch((error: unknown): string[] => ignoreMissing(error) ?? []);
  if (!names.includes(sealedName)) return undefined;
  const manifest = (await readReleaseManifest(dir))?.manifest;
  if (manifest === undefined) return undefined;
  return { artifact, ...(await checkAgainst(join(dir, treeName), manifest)) };
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
  { stateDir, json, repair }: z.infer<typeof verifyConfig>,
  print: (line: string) => void,
): Promise<number> {
  const tell = (release: VerifiedRelease): void => {
    const lines = json ? [JSON.stringify(release)] : describe(release);
    for (const line of lines) print(line);
  };
  let damagedCount = 0;
  for await (const release of verifyReleases(stateDir)) {
    tell(release);
    if (release.problems.length === 0) continue;
    damagedCount += 1;
    if (!repair) continue;
    await askForRepair(stateDir, release.artifact);
    const after = await verifyRelease(stateDir, release.artifact);
    if (after !== undefined) tell(after);
    else if (!json) print("  removed: no goal names it");
    if (after === undefined || after.problems.length === 0) damagedCount -= 1;
  }
  if (damagedCount > 0 && !json) {
    print("With --repair the agent fetches what is wrong, and programs go on meanwhile.");
  }
  return damagedCount === 0 ? 0 : 1;
}

function describe({ artifact, problems, wrongChunks, wrongBytes }: VerifiedRelease): string[] {
  if (problems.length === 0) return [`${artifact}  is as it should be`];
  return [
    `${artifact}  is damaged`,
    ...problems.map(({ path, problem }) => `  ${path} ${problem}`),
    `  ${wrongChunks.length} chunks, ${wrongBytes} bytes to fetch`,
  ];
}
