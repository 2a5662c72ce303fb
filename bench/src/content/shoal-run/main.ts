// Our side of the content benchmarks as a process of its own, so that its time and memory are measured
// as the other tool's are. Prints one JSON line.
//
//   chunk <input>                          read, cut and hash
//   publish <input> <store> <manifest>     that, and store what is new
//   update <store> <manifest> <dir> [old]  write a release, taking what the old one has
import { readFile, writeFile } from "node:fs/promises";
import { decodeManifest, encodeManifest, manifestCid } from "@shoal/core/content/manifest-codec";
import type { Manifest } from "@shoal/core/content/manifest";
import { digestBytes } from "@shoal/core/digest";
import { chunksInFlightMax } from "@shoal/core/limits";
import { openChunkStore } from "@shoal/store/chunk-store";
import { openDirectoryBlobs } from "@shoal/store/directory-blobs";
import { openReleaseFiles } from "@shoal/store/release-files";
import { reuseFrom } from "@shoal/store/release-reuse";
import { Lanes } from "@shoal/store/lanes";
import { openContentPool } from "@shoal/store/content-pool";
import { readTree } from "@shoal/store/tree-reader";
import { scanTree } from "@shoal/store/tree-scan";

/** Chunks on their way at once: the bound of what waits in memory. */
const lanesCount = 16;

async function chunk(input: string): Promise<Record<string, unknown>> {
  const startedAt = performance.now();
  const cpu = process.cpuUsage();
  const work = openContentPool();
  const manifest = await readTree(input, await scanTree(input), () => {}, { work });
  await work.close();
  const { user, system } = process.cpuUsage(cpu);
  return {
    ...described(manifest),
    wallSeconds: (performance.now() - startedAt) / 1000,
    cpuSeconds: (user + system) / 1e6,
  };
}

async function publish(
  input: string,
  storeDir: string,
  manifestPath: string,
): Promise<Record<string, unknown>> {
  const work = openContentPool();
  const store = await openChunkStore(await openDirectoryBlobs(storeDir), { work });
  const manifest = await readTree(
    input,
    await scanTree(input),
    (hash, bytes) => store.put(hash, bytes),
    { work, chunksInFlight: chunksInFlightMax },
  );
  await store.flush();
  await work.close();
  await writeFile(manifestPath, encodeManifest(manifest));
  return { ...described(manifest), storedBytes: store.storedBytes };
}

async function update(
  storeDir: string,
  manifestPath: string,
  dir: string,
  old: string | undefined,
): Promise<Record<string, unknown>> {
  const startedAt = performance.now();
  const manifest = decodeManifest(await readFile(manifestPath));
  const store = await openChunkStore(await openDirectoryBlobs(storeDir));
  const files = await openReleaseFiles(dir, manifest);
  const reused = old === undefined ? undefined : await reuseFrom(files, [old]);
  const lanes = new Lanes(lanesCount);
  let movedBytes = 0;
  for (const index of files.missingChunks()) {
    await lanes.run(async () => {
      const bytes = await store.read(files.hashOf(index));
      movedBytes += bytes.length;
      await files.write(index, bytes);
    });
  }
  await lanes.finish();
  await files.seal();
  await files.close();
  const wallSeconds = (performance.now() - startedAt) / 1000;
  return { ...described(manifest), reusedBytes: reused?.bytes ?? 0, movedBytes, wallSeconds };
}

function described(manifest: Manifest): Record<string, unknown> {
  return {
    cid: manifestCid(encodeManifest(manifest)),
    bytes: manifest.bytes,
    chunks: manifest.chunkHashes.length / digestBytes,
  };
}

const [action, first = "", second = "", third = "", fourth] = process.argv.slice(2);
const actions: Readonly<Record<string, () => Promise<Record<string, unknown>>>> = {
  chunk: () => chunk(first),
  publish: () => publish(first, second, third),
  update: () => update(first, second, third, fourth),
};
const run = actions[action ?? ""];
if (run === undefined) throw new Error(`no action ${action}`);
process.stdout.write(`${JSON.stringify(await run())}\n`);
