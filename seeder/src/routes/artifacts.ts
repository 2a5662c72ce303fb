// Reading artifacts: manifests and statements for hosts and other seeders, chunks for other seeders,
// and the announcements by which hosts find each other.
import { announceInput, manifestQuery } from "@shoal/api/seeder";
import { encodeFrameHead } from "@shoal/core/content/chunk-frames";
import { digestBytes } from "@shoal/core/digest";
import { ShoalError, remoteError } from "@shoal/core/error";
import type { ArtifactCid } from "@shoal/core/ids";
import { pullChunksMax } from "@shoal/core/limits";
import { kibibyte } from "@shoal/core/units";
import type { Passport } from "@shoal/trust/passport";
import { Hono, type Context } from "hono";
import type { SeederDeps } from "../app.ts";
import { releasesOf } from "../goals.ts";
import { eachHash } from "../region/hash-list.ts";
import type { HeldArtifact } from "../region/region-store.ts";
import { readCid, readHashes, readJson, readQuery } from "./bodies.ts";
import type { SeederEnv } from "./callers.ts";

const sliceBytes = 64 * kibibyte;

export function artifactRoutes(deps: SeederDeps): Hono<SeederEnv> {
  const { callers, store, members, now } = deps;
  const routes = new Hono<SeederEnv>();

  routes.get("/:cid/manifest", async (context) => {
    const artifact = await readable(deps, context);
    const { blocks } = readQuery(context, manifestQuery);
    const manifest = await store.manifestBytes(artifact.cid);
    if (manifest === undefined) throw notHeld(artifact.cid);
    const listed = blocks === "true" ? await store.manifestBlocks(artifact.cid) : undefined;
    const bytes = listed?.encoded ?? manifest;
    return context.body(ReadableStream.from(slices(bytes)), 200, {
      "content-length": String(bytes.length),
      "content-type": "application/vnd.ipld.dag-cbor",
    });
  });

  routes.get("/:cid/statement", async (context) => {
    const artifact = await readable(deps, context);
    return context.json(artifact.statement);
  });

  routes.post("/:cid/chunks", async (context) => {
    await callers.grant(context, "pull");
    const artifact = held(deps, readCid(context));
    const hashes = await readHashes(context);
    if (hashes.length > pullChunksMax * digestBytes)
      throw remoteError("invalid_input", "Too many chunks in one request.");
    for (const hash of eachHash(hashes)) {
      if (!store.projectHas(artifact.project, hash))
        throw new ShoalError("not_found", "The artifact has no such chunk.", { blame: "remote" });
    }
    return context.body(ReadableStream.from(frames(deps, hashes)), 200, {
      "content-type": "application/octet-stream",
    });
  });

  routes.post("/:cid/announce", async (context) => {
    const passport = await callers.passport(context);
    const cid = readCid(context);
    if (!isNamedFor(deps, cid, passport)) throw notHeld(cid);
    const input = await readJson(context, announceInput);
    const { peerId, zone } = passport;
    members.announce(
      cid,
      { peerId, zone, swarmAddresses: input.swarmAddresses, share: input.share },
      now(),
    );
    const peers = members.sample(cid, { peerId, zone }, input.want);
    const seeders = store.get(cid) === undefined ? [] : deps.swarmSeeders();
    return context.json({
      peers: [
        ...seeders.map(({ peerId: seeder, swarmAddresses }) => ({
          peerId: seeder,
          swarmAddresses,
          zone: "seeder",
          seeder: true,
        })),
        ...peers.map((peer) => ({
          peerId: peer.peerId,
          swarmAddresses: peer.swarmAddresses,
          zone: peer.zone,
          seeder: false,
        })),
      ],
      againMs: members.nextAnnounceMs(),
    });
  });

  return routes;
}

/** Whether a goal that this passport may see names the artifact: nobody reads anything else. */
export function isNamedFor(
  deps: Pick<SeederDeps, "goals">,
  cid: ArtifactCid,
  passport: Pick<Passport, "environment">,
): boolean {
  return deps.goals
    .goals()
    .some(
      ({ goal }) =>
        (passport.environment === null || passport.environment === goal.environment) &&
        releasesOf(goal).some((release) => release.artifact === cid),
    );
}

/** The artifact of the path, when the caller's pull grant or passport lets it be read. */
async function readable(deps: SeederDeps, context: Context<SeederEnv>): Promise<HeldArtifact> {
  const cid = readCid(context);
  if (isHost(deps, context)) {
    const passport = await deps.callers.passport(context);
    if (!isNamedFor(deps, cid, passport)) throw notHeld(cid);
  } else {
    await deps.callers.grant(context, "pull");
  }
  return held(deps, cid);
}

/** Hosts come with a certificate, whose passport is then demanded; other seeders come with a grant. */
function isHost(deps: SeederDeps, context: Context<SeederEnv>): boolean {
  try {
    deps.callers.peerId(context);
    return true;
  } catch (error) {
    if (error instanceof ShoalError && error.code === "unauthorized") return false;
    throw error;
  }
}

function held(deps: SeederDeps, cid: ArtifactCid): HeldArtifact {
  const artifact = deps.store.get(cid);
  if (artifact === undefined) throw notHeld(cid);
  return artifact;
}

function notHeld(cid: ArtifactCid): ShoalError {
  return new ShoalError("not_found", `This seeder has no artifact ${cid} for this caller.`, {
    blame: "remote",
    retryable: true,
  });
}

/** Parts of a body, so that a slow reader holds up one part and not the whole of it. */
function* slices(bytes: Uint8Array): Generator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += sliceBytes)
    yield bytes.subarray(offset, offset + sliceBytes);
}

async function* frames(deps: SeederDeps, hashes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (const hash of eachHash(hashes)) {
    const bytes = await deps.store.chunks.read(hash);
    yield encodeFrameHead(hash, bytes.length);
    yield bytes;
  }
}
