// A client of one seeder (docs/PROTOCOL.md 5): builders push with it, other seeders pull, hosts ask for
// goals, and the control plane asks for hosts. No retries: callers know what may be repeated. Chunks
// are handed on as they arrive; whoever stores one checks its hash.
import {
  ChunkFrameDecoder,
  encodeFrameHead,
  type ChunkFrame,
} from "@shoal/core/content/chunk-frames";
import { ShoalError, remoteError } from "@shoal/core/error";
import type { ArtifactCid } from "@shoal/core/ids";
import {
  chunkBatchBytesMax,
  contentCallMsMax,
  envelopeBytesMax,
  jsonBodyBytesMax,
  manifestBytesMax,
  manifestWholeBytesMax,
  requestTimeoutMs,
  trustStateBytesMax,
} from "@shoal/core/limits";
import type { z } from "zod";
import { parseJson, readBounded } from "./bounded-body.ts";
import { envelope, page, type Envelope } from "./names.ts";
import { errorOfAnswer } from "./problem.ts";
import * as schemas from "./seeder.ts";
import { trustState, type TrustState } from "./trust.ts";

/** Usually a pinned fetch of lib/trust: over any other, the seeder's identity is unchecked. */
export type SeederFetch = (url: string, init: RequestInit) => Promise<Response>;

export interface SeederClientOptions {
  /** https address of the seeder, without `/v1`. */
  readonly url: string;
  readonly fetch: SeederFetch;
  /** The passport or grant to present, asked for at each call, since both are renewed. */
  readonly token?: () => string;
}

export interface ClientCallOptions {
  readonly signal?: AbortSignal | undefined;
}

type HostStatusPage = { readonly items: schemas.HostStatus[]; readonly nextCursor: string | null };

export interface SeederClient {
  /** The given hashes (32 bytes each) that the seeder lacks for the grant's project. */
  missing(hashes: Uint8Array, options?: ClientCallOptions): Promise<Uint8Array>;
  /** Sends chunks as frames, as fast as the seeder takes them. */
  putChunks(
    chunks: AsyncIterable<ChunkFrame> | Iterable<ChunkFrame>,
    options?: ClientCallOptions,
  ): Promise<{ stored: number }>;
  putManifest(cid: ArtifactCid, bytes: Uint8Array, options?: ClientCallOptions): Promise<void>;
  putStatement(cid: ArtifactCid, statement: Envelope, options?: ClientCallOptions): Promise<void>;
  /** Undecoded: the caller checks the bytes against the CID. */
  getManifest(cid: ArtifactCid, options?: ClientCallOptions): Promise<Uint8Array>;
  /** The manifest when it is short, otherwise the list of its blocks; undecoded. */
  getManifestOrBlocks(cid: ArtifactCid, options?: ClientCallOptions): Promise<Uint8Array>;
  getStatement(cid: ArtifactCid, options?: ClientCallOptions): Promise<Envelope>;
  /** The chunks of the given hashes, in that order, unverified. */
  getChunks(
    cid: ArtifactCid,
    hashes: Uint8Array,
    options?: ClientCallOptions,
  ): AsyncGenerator<ChunkFrame>;
  join(
    input: z.input<typeof schemas.joinInput>,
    options?: ClientCallOptions,
  ): Promise<z.infer<typeof schemas.passportAnswer>>;
  /** A new passport for the one that is shown. */
  renew(options?: ClientCallOptions): Promise<z.infer<typeof schemas.renewed>>;
  /** What the seeder believes; unverified. */
  trust(options?: ClientCallOptions): Promise<TrustState>;
  /** Null when nothing changed within `waitMs`. */
  hostGoals(
    query: { known?: string; waitMs: number },
    options?: ClientCallOptions,
  ): Promise<schemas.HostGoals | null>;
  hostReport(report: schemas.HostReport, options?: ClientCallOptions): Promise<void>;
  announce(
    cid: ArtifactCid,
    input: z.input<typeof schemas.announceInput>,
    options?: ClientCallOptions,
  ): Promise<z.infer<typeof schemas.announced>>;
  hosts(
    query: { limit: number; cursor?: string },
    options?: ClientCallOptions,
  ): Promise<HostStatusPage>;
}

/**
 * Every method throws ShoalError: the seeder's own problem, what the fetch threw, or
 * `seeder_unreachable` (retryable); a caller's aborted signal is thrown as its reason.
 */
export function createSeederClient(options: SeederClientOptions): SeederClient {
  const caller = new Caller(options);
  const artifact = (cid: ArtifactCid, what: string): string => `/v1/artifacts/${cid}/${what}`;
  const ingest = (cid: ArtifactCid, what: string): string => `/v1/ingest/artifacts/${cid}/${what}`;
  return {
    missing: (hashes, call) =>
      caller.bytes("POST", "/v1/ingest/missing", { body: hashes, bytesMax: hashes.length, call }),
    putChunks: (chunks, call) => {
      const input = { body: frameStream(chunks), call, deadlineMs: contentCallMsMax };
      return caller.json("POST", "/v1/ingest/chunks", schemas.ingested, input);
    },
    putManifest: (cid, body, call) =>
      caller.none("PUT", ingest(cid, "manifest"), { body, call, deadlineMs: contentCallMsMax }),
    putStatement: (cid, body, call) => caller.none("PUT", ingest(cid, "statement"), { body, call }),
    getManifest: (cid, call) => {
      const input = { bytesMax: manifestBytesMax, call, deadlineMs: contentCallMsMax };
      return caller.bytes("GET", artifact(cid, "manifest"), input);
    },
    getManifestOrBlocks: (cid, call) => {
      const input = { bytesMax: manifestWholeBytesMax, call };
      return caller.bytes("GET", artifact(cid, `manifest${search({ blocks: "true" })}`), input);
    },
    getStatement: (cid, call) =>
      caller.json("GET", artifact(cid, "statement"), envelope, {
        bytesMax: envelopeBytesMax,
        call,
      }),
    getChunks: (cid, body, call) =>
      caller.frames(artifact(cid, "chunks"), { body, call, deadlineMs: contentCallMsMax }),
    join: (body, call) => caller.json("POST", "/v1/join", schemas.passportAnswer, { body, call }),
    renew: (call) => caller.json("POST", "/v1/host/passport", schemas.renewed, { call }),
    trust: (call) =>
      caller.json("GET", "/v1/host/trust", trustState, { bytesMax: trustStateBytesMax, call }),
    hostGoals: (query, call) => {
      const deadlineMs = requestTimeoutMs + query.waitMs;
      const input = { call, deadlineMs, bytesMax: listBytesMax };
      return caller.jsonIfNew(`/v1/host/goals${search(query)}`, schemas.hostGoals, input);
    },
    hostReport: (body, call) => caller.none("POST", "/v1/host/report", { body, call }),
    announce: (cid, body, call) =>
      caller.json("POST", artifact(cid, "announce"), schemas.announced, { body, call }),
    hosts: (query, call) => {
      const input = { bytesMax: listBytesMax, call };
      return caller.json("GET", `/v1/hosts${search(query)}`, page(schemas.hostStatus), input);
    },
  };
}

/** Hundreds of services, each with a goal and statements; or a page of hosts that run as many. */
const listBytesMax = 16 * jsonBodyBytesMax;

interface CallInput {
  readonly body?: Uint8Array | ReadableStream<Uint8Array> | object;
  readonly call: ClientCallOptions | undefined;
  /** For the request and the whole answer; `requestTimeoutMs` when absent. */
  readonly deadlineMs?: number;
  /** Largest answer; `jsonBodyBytesMax` when absent. */
  readonly bytesMax?: number;
}

class Caller {
  readonly #options: SeederClientOptions;

  constructor(options: SeederClientOptions) {
    this.#options = options;
  }

  json<Schema extends z.ZodType>(
    method: string,
    path: string,
    schema: Schema,
    input: CallInput,
  ): Promise<z.output<Schema>> {
    return this.#reach(input.call, async () => {
      const response = await this.#answer(method, path, input);
      return decodeJson(await readBounded(response, input.bytesMax ?? jsonBodyBytesMax), schema);
    });
  }

  /** Null for "nothing new". */
  jsonIfNew<Schema extends z.ZodType>(
    path: string,
    schema: Schema,
    input: CallInput,
  ): Promise<z.output<Schema> | null> {
    return this.#reach(input.call, async () => {
      const response = await this.#answer("GET", path, input);
      if (response.status === 304) return null;
      return decodeJson(await readBounded(response, input.bytesMax ?? jsonBodyBytesMax), schema);
    });
  }

  bytes(method: string, path: string, input: CallInput): Promise<Uint8Array> {
    return this.#reach(input.call, async () =>
      readBounded(await this.#answer(method, path, input), input.bytesMax ?? jsonBodyBytesMax),
    );
  }

  none(method: string, path: string, input: CallInput): Promise<void> {
    return this.#reach(input.call, async () => {
      const response = await this.#answer(method, path, input);
      await response.body?.cancel();
    });
  }

  async *frames(path: string, input: CallInput): AsyncGenerator<ChunkFrame> {
    const response = await this.#reach(input.call, () => this.#answer("POST", path, input));
    const decoder = new ChunkFrameDecoder();
    let received = 0;
    try {
      for await (const portion of response.body ?? []) {
        received += portion.length;
        if (received > chunkBatchBytesMax)
          throw remoteError("answer_too_large", "More chunks than were asked for.");
        decoder.push(portion);
        for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) yield frame;
      }
    } catch (error) {
      throw this.#explain(error, input.call);
    }
    decoder.finish();
  }

  async #answer(method: string, path: string, input: CallInput): Promise<Response> {
    const { url, fetch, token } = this.#options;
    const { body, call } = input;
    const raw = body instanceof Uint8Array || body instanceof ReadableStream;
    const type = raw ? "application/octet-stream" : "application/json";
    // Holds for the answer's body too, so that nobody keeps a caller with a byte now and then.
    const deadline = AbortSignal.timeout(input.deadlineMs ?? requestTimeoutMs);
    const init: RequestInit & { duplex?: "half" } = {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token()}` }),
        ...(body === undefined ? {} : { "content-type": type }),
      },
      ...(body === undefined
        ? {}
        : { body: raw ? (body as NonNullable<RequestInit["body"]>) : JSON.stringify(body) }),
      ...(body instanceof ReadableStream ? { duplex: "half" as const } : {}),
      signal: call?.signal === undefined ? deadline : AbortSignal.any([deadline, call.signal]),
    };
    const response = await fetch(`${url.replace(/\/+$/, "")}${path}`, init);
    if (response.ok || response.status === 304) return response;
    throw errorOfAnswer(response.status, parseJson(await readBounded(response, jsonBodyBytesMax)));
  }

  async #reach<Answer>(
    call: ClientCallOptions | undefined,
    work: () => Promise<Answer>,
  ): Promise<Answer> {
    try {
      return await work();
    } catch (error) {
      throw this.#explain(error, call);
    }
  }

  #explain(error: unknown, call: ClientCallOptions | undefined): unknown {
    if (call?.signal?.aborted === true || error instanceof ShoalError) return error;
    return new ShoalError(
      "seeder_unreachable",
      `The seeder at ${this.#options.url} can't be reached.`,
      {
        blame: "environment",
        retryable: true,
        cause: error,
      },
    );
  }
}

function frameStream(
  chunks: AsyncIterable<ChunkFrame> | Iterable<ChunkFrame>,
): ReadableStream<Uint8Array> {
  return ReadableStream.from(encodeFrames(chunks));
}

async function* encodeFrames(
  chunks: AsyncIterable<ChunkFrame> | Iterable<ChunkFrame>,
): AsyncGenerator<Uint8Array> {
  for await (const { hash, bytes } of chunks) {
    yield encodeFrameHead(hash, bytes.length);
    yield bytes;
  }
}

function decodeJson<Schema extends z.ZodType>(bytes: Uint8Array, schema: Schema): z.output<Schema> {
  const parsed = schema.safeParse(parseJson(bytes));
  if (parsed.success) return parsed.data;
  throw remoteError(
    "answer_invalid",
    `A seeder's answer isn't as promised: ${parsed.error.issues[0]?.message ?? ""}`,
  );
}

function search(query: Readonly<Record<string, string | number | undefined>>): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query))
    if (value !== undefined) params.set(key, String(value));
  return params.size === 0 ? "" : `?${params.toString()}`;
}
