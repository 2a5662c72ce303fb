// Threads for the work on bytes: reading, searching cuts, hashing, compressing. Jobs wait in one queue; each
// thread has at most two, so that it is never idle while an answer is on its way. The queue has no
// bound of its own: who asks holds the bytes and bounds them. Threads start with the first job that
// needs them and keep no process alive by themselves.
import { getCompileCacheDir } from "node:module";
import { availableParallelism } from "node:os";
import { dirname } from "node:path";
import { Worker } from "node:worker_threads";
import { assert, ShoalError } from "@shoal/core/error";
import { contentThreadsMax } from "@shoal/core/limits";
import { kibibyte, type Bytes } from "@shoal/core/units";
import { damagedChunk, decodeChunk } from "./chunk-coding.ts";
import {
  encodeRaw,
  runContentJob,
  type ContentAnswer,
  type ContentJob,
  type CutJob,
  type DecodedChunk,
  type DecodeRunJob,
  type EncodedChunk,
  type SegmentRead,
  type StoredChunk,
} from "./content-jobs.ts";
import { coding } from "./pack-format.ts";

/** Reads, searches cuts, hashes and compresses, here or in threads. */
export interface ContentWork {
  /** How many jobs are done beside the caller's own thread; 0 where they are done in it. */
  readonly threadsCount: number;
  /** What `cutSegment` answers for files that are read into shared memory, which is the job's own meanwhile. */
  cut(job: CutJob): Promise<SegmentRead>;
  /**
   * The chunk's hash, unless it is known, and stored form. Shared memory mustn't change meanwhile. Memory that is
   * given may be gone afterwards; other memory is copied for a thread.
   */
  encode(raw: Uint8Array, options?: EncodeOptions): Promise<EncodedChunk>;
  /** The raw bytes of a stored chunk, verified. Stored bytes that are all of their memory may be gone afterwards. Throws `chunk_damaged`. */
  decode(hash: Uint8Array, chunk: StoredChunk, rawBytes: Bytes): Promise<Uint8Array>;
  /** Decompresses chunks within shared memory, which is the job's own meanwhile. False when one isn't what it should be. */
  decodeRun(job: DecodeRunJob): Promise<boolean>;
}

export interface EncodeOptions {
  readonly hash?: Uint8Array | undefined;
  /** Whether the bytes are all of their memory, and nobody needs them any more. */
  readonly isGiven?: boolean;
}

/** In the caller's own thread. */
export const inlineWork: ContentWork = {
  threadsCount: 0,
  cut: async (job) => readOf(runContentJob({ type: "cut", ...job })),
  encode: async (raw, { hash } = {}) => encodeRaw(raw, hash),
  decode: decodeChunk,
  decodeRun: async (job) => rightOf(runContentJob({ type: "decodeRun", ...job })),
};

export interface ContentPool extends ContentWork {
  /** Ends the threads; jobs under way reject. Idempotent. */
  close(): Promise<void>;
}

/** As many threads as the machine has processors unless told, at most `contentThreadsMax`. */
export function openContentPool(threadsCount: number = availableParallelism()): ContentPool {
  return new Pool(Math.min(Math.max(1, threadsCount), contentThreadsMax));
}

interface Waiting {
  readonly job: ContentJob;
  readonly given: readonly ArrayBuffer[];
  readonly resolve: (answer: ContentAnswer) => void;
  readonly reject: (error: unknown) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly jobs: Map<number, Waiting>;
}

type Reply =
  | { readonly id: number; readonly answer: ContentAnswer }
  | { readonly id: number; readonly error: unknown };

const jobsPerThread = 2;
/** A chunk up to this size is encoded at once: a small artifact needn't start threads. */
const inlineBytesMax = 64 * kibibyte;
const workerUrl: URL = new URL("content-worker.ts", import.meta.url);

class Pool implements ContentPool {
  readonly threadsCount: number;
  readonly #threads: Set<Thread> = new Set();
  readonly #queue: Waiting[] = [];
  #nextId = 0;
  #isClosed = false;

  constructor(threadsCount: number) {
    this.threadsCount = threadsCount;
  }

  async cut(job: CutJob): Promise<SegmentRead> {
    return readOf(await this.#do({ type: "cut", ...job }));
  }

  async encode(raw: Uint8Array, options: EncodeOptions = {}): Promise<EncodedChunk> {
    const { hash, isGiven = false } = options;
    if (raw.length <= inlineBytesMax) return inlineWork.encode(raw, options);
    const { buffer, byteOffset: offset, length: bytes } = raw;
    if (buffer instanceof SharedArrayBuffer) {
      return encodedOf(await this.#do({ type: "encode", raw: { buffer, offset, bytes }, hash }));
    }
    const own = isGiven ? new Uint8Array(buffer, offset, bytes) : new Uint8Array(raw);
    return encodedOf(await this.#do({ type: "encode", raw: own, hash }, own.buffer));
  }

  /** Not through libuv's threads: there each chunk costs this thread half a millisecond, a third of it for the hash. */
  async decode(hash: Uint8Array, chunk: StoredChunk, rawBytes: Bytes): Promise<Uint8Array> {
    if (chunk.coding !== coding.zstd || rawBytes <= inlineBytesMax)
      return decodeChunk(hash, chunk, rawBytes);
    const { buffer, length } = chunk.stored;
    const isAlone = buffer instanceof ArrayBuffer && length === buffer.byteLength;
    const stored = isAlone ? new Uint8Array(buffer) : new Uint8Array(chunk.stored);
    const job = { type: "decode", hash, stored, rawBytes } as const;
    const { raw } = decodedOf(await this.#do(job, stored.buffer));
    if (raw === undefined) throw damagedChunk(hash);
    return raw;
  }

  async decodeRun(job: DecodeRunJob): Promise<boolean> {
    return rightOf(await this.#do({ type: "decodeRun", ...job }));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const threads = [...this.#threads];
    for (const thread of threads) this.#lose(thread, closed());
    for (const { reject } of this.#queue.splice(0)) reject(closed());
    await Promise.all(threads.map(({ worker }) => worker.terminate()));
  }

  /** `given` isn't copied for the thread: it has no length here from then on. */
  #do(job: ContentJob, ...given: readonly ArrayBuffer[]): Promise<ContentAnswer> {
    if (this.#isClosed) return Promise.reject(closed());
    const { promise, resolve, reject } = Promise.withResolvers<ContentAnswer>();
    this.#queue.push({ job, given, resolve, reject });
    this.#dispatch();
    return promise;
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const thread = this.#freeThread();
      if (thread === undefined) return;
      const waiting = this.#queue.shift();
      assert(waiting !== undefined, "a queue that isn't empty has a first job");
      const id = this.#nextId;
      this.#nextId += 1;
      thread.jobs.set(id, waiting);
      thread.worker.ref();
      thread.worker.postMessage({ id, job: waiting.job }, waiting.given);
    }
  }

  /** The thread with the fewest jobs, a new one while there may be more. */
  #freeThread(): Thread | undefined {
    let best: Thread | undefined;
    for (const thread of this.#threads) {
      if (best === undefined || thread.jobs.size < best.jobs.size) best = thread;
    }
    if (best !== undefined && best.jobs.size === 0) return best;
    if (this.#threads.size < this.threadsCount) return this.#start();
    return best !== undefined && best.jobs.size < jobsPerThread ? best : undefined;
  }

  #start(): Thread {
    const worker = new Worker(workerUrl, { env: workerEnv() });
    const thread: Thread = { worker, jobs: new Map() };
    this.#threads.add(thread);
    worker.on("message", (reply: Reply) => this.#settle(thread, reply));
    worker.on("error", (cause) => this.#lose(thread, lost(cause)));
    worker.on("exit", () => this.#lose(thread, lost()));
    return thread;
  }

  #settle(thread: Thread, reply: Reply): void {
    const waiting = thread.jobs.get(reply.id);
    thread.jobs.delete(reply.id);
    if (thread.jobs.size === 0) thread.worker.unref();
    if ("answer" in reply) waiting?.resolve(reply.answer);
    else waiting?.reject(reply.error);
    this.#dispatch();
  }

  /** A thread that ended fails its jobs; the next job starts another. */
  #lose(thread: Thread, error: ShoalError): void {
    if (!this.#threads.delete(thread)) return;
    for (const { reject } of thread.jobs.values()) reject(error);
    thread.jobs.clear();
    if (!this.#isClosed) this.#dispatch();
  }
}

/**
 * A thread needs nothing of the environment but where compiled modules are kept, if this process keeps them: then it
 * starts in half the time (0.08 instead of 0.19 s, node 26.10).
 */
function workerEnv(): Readonly<Record<string, string>> {
  // Each version of the runtime has its own folder in it.
  const folder = getCompileCacheDir();
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: dirname(folder) };
}

function readOf(answer: ContentAnswer): SegmentRead {
  assert("ends" in answer || "path" in answer, "a cut job answers cuts or what it couldn't read");
  return answer;
}

function encodedOf(answer: ContentAnswer): EncodedChunk {
  assert("stored" in answer, "an encode job answers a chunk");
  return answer;
}

function decodedOf(answer: ContentAnswer): DecodedChunk {
  assert("raw" in answer, "a decode job answers raw bytes");
  return answer;
}

function rightOf(answer: ContentAnswer): boolean {
  assert("isRight" in answer, "a decodeRun job answers whether all is right");
  return answer.isRight;
}

function closed(): ShoalError {
  return new ShoalError("stopping", "the content pool is closed", { blame: "local" });
}

function lost(cause?: unknown): ShoalError {
  return new ShoalError("thread_lost", "a thread of the content pool ended", {
    blame: "local",
    retryable: true,
    cause,
  });
}
