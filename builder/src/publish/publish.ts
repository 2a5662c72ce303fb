// Publishes what a build left: its missing chunks, then the manifest that names them, then a signed
// statement about the manifest. The order matters: a seeder takes a manifest only when it has every
// chunk, and counts the artifact as held only with its statement.
import type { Lease } from "@shoal/api/builder";
import type { Envelope } from "@shoal/api/names";
import type { SeederClient } from "@shoal/api/seeder-client";
import { encodeManifest, manifestCid } from "@shoal/core/content/manifest-codec";
import type { Manifest } from "@shoal/core/content/manifest";
import { ShoalError } from "@shoal/core/error";
import type { ArtifactCid } from "@shoal/core/ids";
import { publishRoundsMax, publishTriesMax } from "@shoal/core/limits";
import type { SigningKey } from "@shoal/core/trust/keys";
import { signStatement } from "@shoal/trust/statement";
import { retry } from "../retry.ts";
import { publishFailure } from "./publish-failure.ts";
import { Uploader } from "./uploader.ts";

export type Ingest = Pick<SeederClient, "missing" | "putChunks" | "putManifest" | "putStatement">;

export interface PublishDeps {
  readonly key: SigningKey;
  /** Opens the way to the lease's seeder. */
  readonly connect: (
    seeder: Lease["seeder"],
    grant: () => string,
  ) => { readonly ingest: Ingest; close(): Promise<void> };
  /** Reads a file or tree; `onChunk` gets every chunk in stream order, its memory until it resolves. */
  readonly readArtifact: (
    path: string,
    onChunk: (hash: Uint8Array, bytes: Uint8Array) => Promise<void>,
  ) => Promise<Manifest>;
  readonly builderName: string;
}

export interface PublishInput {
  /** What to publish: a file or a folder. */
  readonly path: string;
  readonly lease: Lease;
  readonly remoteUrl: string;
  readonly startedAtMs: number;
  /** The newest grant. */
  readonly grant: () => string;
  readonly signal: AbortSignal;
}

export interface Published {
  readonly artifact: ArtifactCid;
  readonly artifactBytes: number;
  /** Of new chunks, uncompressed. */
  readonly bytesUploaded: number;
  readonly statement: Envelope;
}

export type Publish = (input: PublishInput) => Promise<Published>;

/** Seeders say so when a collection took chunks that they were going to keep a moment ago. */
const chunksMissing = "chunks_missing";

export function createPublish(deps: PublishDeps): Publish {
  return async (input) => {
    const connection = deps.connect(input.lease.seeder, input.grant);
    try {
      return await publish(deps, connection.ingest, input);
    } finally {
      await connection.close();
    }
  };
}

async function publish(deps: PublishDeps, ingest: Ingest, input: PublishInput): Promise<Published> {
  const { signal } = input;
  let bytesUploaded = 0;
  for (let round = 1; ; round += 1) {
    const uploader = new Uploader(ingest, signal);
    const manifest = await deps.readArtifact(input.path, (hash, bytes) =>
      uploader.add(hash, bytes),
    );
    requireContent(manifest);
    await uploader.finish();
    bytesUploaded += uploader.uploadedBytes;
    const encoded = encodeManifest(manifest);
    const artifact = manifestCid(encoded);
    const put = <Result>(call: () => Promise<Result>): Promise<Result> =>
      retry(call, { signal, triesMax: publishTriesMax });
    try {
      await put(() => ingest.putManifest(artifact, encoded, { signal }));
    } catch (error) {
      const again = error instanceof ShoalError && error.code === chunksMissing;
      if (!again || round === publishRoundsMax) throw publishFailure(error, signal);
      continue;
    }
    const statement = makeStatement(deps, input, artifact);
    await put(() => ingest.putStatement(artifact, statement, { signal })).catch(
      (error: unknown) => {
        throw publishFailure(error, signal);
      },
    );
    return { artifact, artifactBytes: manifest.bytes, bytesUploaded, statement };
  }
}

function requireContent(manifest: Manifest): void {
  if (manifest.entries.length > 0) return;
  throw new ShoalError("artifact_empty", "The artifact's folder is empty.", {
    blame: "remote",
    hint: "Check the project's artifact path, and that the build command writes there.",
  });
}

function makeStatement(deps: PublishDeps, input: PublishInput, artifact: ArtifactCid): Envelope {
  const { lease, remoteUrl, startedAtMs } = input;
  return signStatement(deps.key, {
    project: lease.project,
    commit: lease.commit,
    artifact,
    remoteUrl,
    buildCommand: lease.buildCommand,
    artifactPath: lease.artifactPath,
    builder: deps.builderName,
    build: lease.build,
    attempt: lease.attempt,
    startedAtMs,
    finishedAtMs: Date.now(),
  });
}
