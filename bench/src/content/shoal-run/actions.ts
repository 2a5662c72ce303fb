// What our side of the content benchmarks does, each printing one JSON line.
//
//   chunk <input>                          read, cut and hash
//   publish <input> <store> <manifest>     that, and store what is new
//   update <store> <manifest> <dir> [old]  write a release, taking what the old one has
//   hash <input>                           BLAKE3 alone, on one thread, of the input's bytes in memory
//   serve                                  any of these, one after another: a line of JSON for each on stdin
import { readFile, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { decodeManifest, encodeManifest, manifestCid } from "@shoal/core/content/manifest-codec";
import type { Manifest } from "@shoal/core/content/manifest";
import { digest, digestBytes } from "@shoal/core/digest";
import { chunkBytesTarget, chunksInFlightMax } from "@shoal/core/limits";
import { hasBit } from "@shoal/core/swarm/bitfield";
import { gibibyte, mebibyte, type Bytes, type ChunkIndex } from "@shoal/core/units";
import { forEachInLanes } from "@shoal/store/bounded-lanes";
import { keepCheckpoints, pauseFor } from "@shoal/store/checkpointing";
import { openChunkStore } from "@shoal/store/chunk-store";
import { openDirectoryBlobs } from "@shoal/store/directory-blobs";
import { readParts } from "@shoal/store/file-parts";
import { openReleaseFiles, type ReleaseFiles } from "@shoal/store/release-files";
import { planReuse } from "@shoal/store/release-reuse";
import { laneBytesMax, LaneBuffers } from "@shoal/store/lane-buffers";
import { openContentPool, type ContentWork } from "@shoal/store/content-pool";
import { readTree } from "@shoal/store/tree-reader";
import { scanTree } from "@shoal/store/tree-scan";
import { TreeStream } from "@shoal/store/tree-stream";

/** Runs of chunks on their way at once: the bound of what waits in memory. */
const lanesCount = 16;
/** Of an input, in memory to be hashed: more than any cache holds. */
const hashedBytesMax = 512 * mebibyte;

async function chunk(work: ContentWork, input: string): Promise<Record<string, unknown>> {
  return described(await readTree(input, await scanTree(input), () => {}, { work }));
}

/** The same native module, the same bytes, in pieces as long as chunks are; one pass, after a short one that warms it up. */
async function hash(input: string): Promise<Record<string, unknown>> {
  const scan = await scanTree(input);
  const bytes = new Uint8Array(Math.min(scan.bytes, hashedBytesMax));
  const stream = new TreeStream(input, scan);
  if (readParts(stream.root, stream.take(bytes.length, false), bytes, 0) !== undefined)
    throw new Error("the input changed");
  const pass = (end: number): number => {
    const startedAt = performance.now();
    for (let at = 0; at < end; at += chunkBytesTarget)
      digest(bytes.subarray(at, at + chunkBytesTarget));
    return (performance.now() - startedAt) / 1000;
  };
  pass(bytes.length >> 3);
  return { gibPerSecond: bytes.length / gibibyte / pass(bytes.length) };
}

async function publish(
  work: ContentWork,
  input: string,
  storeDir: string,
  manifestPath: string,
): Promise<Record<string, unknown>> {
  const store = await openChunkStore(await openDirectoryBlobs(storeDir), { work });
  const manifest = await readTree(
    input,
    await scanTree(input),
    (hash, bytes) => store.putHashed(hash, bytes),
    { work, chunksInFlight: chunksInFlightMax },
  );
  await store.flush();
  await writeFile(manifestPath, encodeManifest(manifest));
  return { ...described(manifest), storedBytes: store.storedBytes };
}

async function update(
  work: ContentWork,
  storeDir: string,
  manifestPath: string,
  dir: string,
  old: string | undefined,
): Promise<Record<string, unknown>> {
  const manifest = decodeManifest(await readFile(manifestPath));
  // Nothing is read twice.
  const config = { cacheBytesMax: 0, work };
  const store = await openChunkStore(await openDirectoryBlobs(storeDir), config);
  const files = await openReleaseFiles(dir, manifest);
  const reuse = await planReuse(files, old === undefined ? [] : [old]);
  let movedBytes = 0;
  const buffers = new LaneBuffers();
  const fetchAllBut = (promised: Uint8Array): Promise<void> =>
    forEachInLanes(missingRuns(files, promised), lanesCount, async ({ first, count, bytes }) => {
      // As a host's memory for what it receives.
      const into = buffers.take(bytes, files.phaseOf(first, count));
      const hashes = manifest.chunkHashes.subarray(
        first * digestBytes,
        (first + count) * digestBytes,
      );
      await store.readRun(hashes, into);
      movedBytes += bytes;
      await files.writeRun(first, count, into);
      buffers.give(into);
    });
  // As a host does: what is on its disk and what isn't, at once; then what wasn't there after all; synced now and then.
  const over = new AbortController();
  const checkpoints = keepCheckpoints({ files, pause: pauseFor }, over.signal);
  await Promise.all([reuse.copy(), fetchAllBut(reuse.promised)]);
  await fetchAllBut(new Uint8Array(0));
  over.abort();
  await checkpoints;
  buffers.close();
  await files.seal();
  await files.close();
  return { ...described(manifest), reusedBytes: reuse.bytes, movedBytes };
}

interface MissingRun {
  readonly first: ChunkIndex;
  readonly count: number;
  readonly bytes: Bytes;
}

/**
 * What isn't in place nor promised by others, in runs of chunks that follow one another: a host fetches and writes
 * runs, too.
 */
function* missingRuns(files: ReleaseFiles, promised: Uint8Array): Generator<MissingRun> {
  const { chunkBytes } = files.manifest;
  let run: MissingRun | undefined;
  for (const chunk of files.missingChunks()) {
    if (hasBit(promised, chunk)) continue;
    const bytes = chunkBytes[chunk] ?? 0;
    if (run !== undefined && chunk === run.first + run.count && run.bytes + bytes <= laneBytesMax) {
      run = { first: run.first, count: run.count + 1, bytes: run.bytes + bytes };
      continue;
    }
    if (run !== undefined) yield run;
    run = { first: chunk, count: 1, bytes };
  }
  if (run !== undefined) yield run;
}

function described(manifest: Manifest): Record<string, unknown> {
  return {
    cid: manifestCid(encodeManifest(manifest)),
    bytes: manifest.bytes,
    chunks: manifest.chunkHashes.length / digestBytes,
  };
}

type Answer = Promise<Record<string, unknown>>;

function run(args: readonly string[], work: ContentWork): Answer {
  const [action = "", first = "", second = "", third = "", fourth] = args;
  const actions: Readonly<Record<string, () => Answer>> = {
    chunk: () => chunk(work, first),
    hash: () => hash(first),
    publish: () => publish(work, first, second, third),
    update: () => update(work, first, second, third, fourth),
  };
  const found = actions[action];
  if (found === undefined) throw new Error(`no action ${action}`);
  return found();
}

async function serve(work: ContentWork): Promise<void> {
  say({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    const cpu = process.cpuUsage();
    const answer = await run(JSON.parse(line) as string[], work);
    const { user, system } = process.cpuUsage(cpu);
    say({
      ...answer,
      cpuSeconds: (user + system) / 1e6,
      peakMiB: Math.round(process.resourceUsage().maxRSS / 1024),
    });
  }
}

function say(answer: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

/** Does what the command line says. */
export async function runActions(args: readonly string[]): Promise<void> {
  const work = openContentPool();
  try {
    if (args[0] === "serve") await serve(work);
    else say(await run(args, work));
  } finally {
    await work.close();
  }
}
