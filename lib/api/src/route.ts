// What one row of the control plane's route table is (docs/PROTOCOL.md 4). The server registers
// handlers by these rows, the client calls by them, and the OpenAPI document is made from them, so
// that the three can't drift apart. No I/O here.
import type { z } from "zod";
import type { Permission } from "./environments.ts";

/** Who may call: anybody, the bearer of an admin's or a person's token, or a member with a passport. */
export type Role = "any" | "admin" | "builder" | "seeder" | "member";
export type Method = "GET" | "POST" | "PATCH";

/** A body or answer that isn't JSON. */
export const rawBytes = "bytes";
export const plainText = "text";

type Fields = z.ZodObject;
export type RouteBody = z.ZodType | typeof rawBytes | null;
export type RouteAnswer = z.ZodType | typeof plainText | null;

export interface Route<
  Params extends Fields = Fields,
  Query extends Fields = Fields,
  Body extends RouteBody = RouteBody,
  Answer extends RouteAnswer = RouteAnswer,
> {
  readonly role: Role;
  /** Whose token of the role `person` may call what is the admin's otherwise; null: nobody's. */
  readonly permission: Permission | null;
  readonly method: Method;
  /** Below `/v1`, with `:name` for parameters. */
  readonly path: string;
  /** One sentence for the OpenAPI document. */
  readonly summary: string;
  /** Of strings: parameters are percent-decoded path components. */
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  /** Largest request body; more is refused with `body_too_large`. */
  readonly bodyBytesMax: number;
  readonly answer: Answer;
  /** Largest answer that the client reads. */
  readonly answerBytesMax: number;
  readonly status: 200 | 201 | 204;
}

export type ParamsOf<R extends Route> = z.output<R["params"]>;
export type QueryOf<R extends Route> = z.output<R["query"]>;
export type BodyOf<R extends Route> = R["body"] extends z.ZodType
  ? z.output<R["body"]>
  : R["body"] extends null
    ? null
    : Uint8Array;
export type AnswerOf<R extends Route> = R["answer"] extends z.ZodType
  ? z.output<R["answer"]>
  : null;
/** What a caller may leave to defaults. */
export type BodyInputOf<R extends Route> = R["body"] extends z.ZodType
  ? z.input<R["body"]>
  : R["body"] extends null
    ? undefined
    : Uint8Array;
export type QueryInputOf<R extends Route> = z.input<R["query"]>;

/** The path of a route with its parameters filled in, percent-encoded. */
export function pathOf(route: Route, params: Readonly<Record<string, string | number>>): string {
  return `/v1${route.path.replace(/:([a-z]+)/g, (_, key: string) => encodeURIComponent(String(params[key] ?? "")))}`;
}
