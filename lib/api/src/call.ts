// One HTTP call to the control plane by a row of the route table: deadline, bounded answer, strict
// decoding, problems as errors. It doesn't retry, but for a token that isn't believed any more: who calls
// knows what may be repeated, and until when.
import { ShoalError } from "@shoal/core/error";
import { jsonBodyBytesMax, requestTimeoutMs } from "@shoal/core/limits";
import { parseJson, readBounded } from "./bounded-body.ts";
import { errorOfAnswer, isCallerRefusal } from "./problem.ts";
import {
  type AnswerOf,
  type BodyInputOf,
  type QueryInputOf,
  type Route,
  pathOf,
  plainText,
  rawBytes,
} from "./route.ts";

/** The part of the platform's fetch that is used here. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface CallConfig {
  /** Where the control plane listens, without `/v1`. */
  readonly url: string;
  /** Bearer token, or what makes one for each call; null where only calls are made that need none. */
  readonly token: string | null | (() => string);
  readonly fetch: Fetch;
  /** Sees to another token, after which the call is made once more; throws when there is no other. */
  readonly renewToken?: RenewToken | undefined;
}

/** `error` is the server's answer to `token`, which it doesn't believe. */
export type RenewToken = (
  error: ShoalError,
  token: string,
  signal: AbortSignal | undefined,
) => Promise<void>;

export interface CallInput<R extends Route> {
  readonly params?: Readonly<Record<string, string | number>>;
  readonly query?: QueryInputOf<R>;
  readonly body?: BodyInputOf<R>;
  /** Ends the call early. */
  readonly signal?: AbortSignal | undefined;
}

/** Body of an answer that was read whole under the route's limit, with its status and headers. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
}

/** Calls a route whose answer is JSON or nothing. Throws ShoalError with the problem's code. */
export async function call<R extends Route>(
  config: CallConfig,
  route: R,
  input: CallInput<R>,
): Promise<AnswerOf<R>> {
  const answer = await callRaw(config, route, input);
  if (answer.status === 304) throw unexpected(route, "answered 304 to a call that knew nothing");
  return decode(route, answer);
}

/** Calls a route and reads its answer whole; 304 is an answer too, everything else not 2xx is thrown. */
export async function callRaw<R extends Route>(
  config: CallConfig,
  route: R,
  input: CallInput<R>,
): Promise<RawAnswer> {
  const token = tokenFor(config, route);
  try {
    return await callOnce(config, route, input, token);
  } catch (error) {
    if (config.renewToken === undefined || token === null) throw error;
    if (!(error instanceof ShoalError) || !isCallerRefusal(error)) throw error;
    await config.renewToken(error, token, input.signal);
    return callOnce(config, route, input, tokenFor(config, route));
  }
}

async function callOnce<R extends Route>(
  config: CallConfig,
  route: R,
  input: CallInput<R>,
  token: string | null,
): Promise<RawAnswer> {
  const waitMs = Number(
    (input.query as { waitMs?: unknown } | undefined)?.waitMs ?? bodyWaitMs(input.body),
  );
  const deadline = AbortSignal.timeout(requestTimeoutMs + (Number.isFinite(waitMs) ? waitMs : 0));
  const signal = input.signal === undefined ? deadline : AbortSignal.any([deadline, input.signal]);
  try {
    const response = await config.fetch(urlOf(config, route, input), {
      method: route.method,
      headers: headersOf(route, token),
      // A token must not follow a redirect to somewhere else.
      redirect: "error",
      signal,
      ...(route.body === null ? {} : { body: bodyOf(route, input.body) }),
    });
    const ok = response.ok || response.status === 304;
    const bytes = await readBounded(response, ok ? route.answerBytesMax : jsonBodyBytesMax);
    if (!ok) throw errorOfAnswer(response.status, parseJson(bytes));
    return { status: response.status, headers: response.headers, bytes };
  } catch (error) {
    throw asShoalError(error, config, input.signal);
  }
}

/** Decodes the JSON answer of a route, strictly. */
export function decode<R extends Route>(route: R, answer: RawAnswer): AnswerOf<R> {
  const schema = route.answer;
  if (schema === null || schema === plainText) return null as AnswerOf<R>;
  const parsed = schema.safeParse(parseJson(answer.bytes));
  if (!parsed.success)
    throw unexpected(route, parsed.error.issues[0]?.message ?? "not as promised");
  return parsed.data as AnswerOf<R>;
}

function urlOf(config: CallConfig, route: Route, input: CallInput<Route>): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(input.query ?? {})) {
    if (typeof value === "string") query.set(key, value);
    if (typeof value === "number") query.set(key, value.toString());
  }
  const search = query.size === 0 ? "" : `?${query.toString()}`;
  return `${config.url.replace(/\/+$/, "")}${pathOf(route, input.params ?? {})}${search}`;
}

function headersOf(route: Route, token: string | null): Record<string, string> {
  return {
    accept: "application/json, application/problem+json, text/plain",
    ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    ...(route.body === null
      ? {}
      : {
          "content-type": route.body === rawBytes ? "application/octet-stream" : "application/json",
        }),
  };
}

function tokenFor({ token }: CallConfig, route: Route): string | null {
  if (typeof token !== "function") return token;
  // Who has no passport yet may still make the calls that need none: joining is one.
  return route.role === "any" ? null : token();
}

function bodyOf(route: Route, body: unknown): string | Uint8Array<ArrayBuffer> {
  if (route.body === rawBytes) return new Uint8Array(body as Uint8Array);
  return JSON.stringify(body);
}

function bodyWaitMs(body: unknown): unknown {
  return typeof body === "object" && body !== null && "waitMs" in body ? body.waitMs : 0;
}

function unexpected(route: Route, what: string): ShoalError {
  return new ShoalError("answer_invalid", `${route.method} ${route.path}: ${what}`, {
    blame: "remote",
    hint: "Are both sides of the same version?",
  });
}

function asShoalError(
  error: unknown,
  config: CallConfig,
  signal: AbortSignal | undefined,
): unknown {
  if (error instanceof ShoalError || signal?.aborted === true) return error;
  const timedOut = error instanceof Error && error.name === "TimeoutError";
  return new ShoalError(
    timedOut ? "control_plane_timeout" : "control_plane_unreachable",
    timedOut
      ? `The control plane at ${config.url} didn't answer in time.`
      : `The control plane at ${config.url} can't be reached.`,
    {
      blame: "environment",
      retryable: true,
      hint: "Is it running, and is the address right?",
      cause: error,
    },
  );
}
