// Rows of the route table about builds, for people, and pushes of git hosts.
import {
  logReadBytesMax,
  logSearchHitsMax,
  pageItemsDefault,
  planBytesMax,
} from "@shoal/core/limits";
import { z } from "zod";
import * as plane from "./control-plane.ts";
import { count, httpUrl, name, page } from "./names.ts";
import { plainText, rawBytes } from "./route.ts";
import { byId, paging, row, waitMs } from "./row.ts";
import { buildTests } from "./test-report.ts";

export const builds = {
  start: row({
    method: "POST",
    path: "/builds",
    permission: "build",
    summary: "Asks for a build; the same commit twice is one build.",
    body: plane.buildInput,
    answer: plane.build,
    status: 201,
  }),
  list: row({
    method: "GET",
    path: "/builds",
    summary: "Lists builds, the newest first.",
    query: z.strictObject({ project: name.optional(), ...paging }),
    answer: page(plane.build),
  }),
  get: row({
    method: "GET",
    path: "/builds/:id",
    summary: "One build.",
    params: byId,
    answer: plane.build,
  }),
  log: row({
    method: "GET",
    path: "/builds/:id/log",
    summary:
      "The build's log from an offset on, all attempts one after the other; waits for more when asked to.",
    params: byId,
    query: z.strictObject({ offset: z.coerce.number().int().nonnegative().default(0), waitMs }),
    answer: plainText,
    answerBytesMax: logReadBytesMax,
  }),
  followLog: row({
    method: "GET",
    path: "/builds/:id/log/events",
    summary:
      "The build's log as server-sent events, until it ends; `Last-Event-ID`, or `offset`, says where to go on.",
    params: byId,
    query: z.strictObject({ offset: z.coerce.number().int().nonnegative().default(0) }),
    answer: plainText,
  }),
  searchLog: row({
    method: "GET",
    path: "/builds/:id/log/search",
    summary: "Finds text in a build's log, with the lines it is in.",
    params: byId,
    query: z.strictObject({
      text: z.string().min(1).max(1024),
      offset: z.coerce.number().int().nonnegative().default(0),
      limit: z.coerce.number().int().min(1).max(logSearchHitsMax).default(pageItemsDefault),
    }),
    answer: z.strictObject({
      items: z.array(z.strictObject({ offset: z.int(), line: z.string() })),
      nextOffset: z.int().nullable(),
    }),
  }),
  checkLog: row({
    method: "GET",
    path: "/builds/:id/log/check",
    summary:
      "Whether the stored log is still what came in, by the chain of hashes over its segments.",
    params: byId,
    answer: z.strictObject({
      segments: count,
      bytes: count,
      /** Hexadecimal: the chain's last link, which stands for all before it; null without a segment. */
      chain: z.string().nullable(),
      /** Where the first segment begins that isn't what the chain says; null when all are. */
      brokenAt: z.int().nullable(),
    }),
  }),
  cancel: row({
    method: "POST",
    path: "/builds/:id/cancel",
    permission: "build",
    summary: "Cancels a build.",
    params: byId,
    answer: plane.build,
  }),
  retry: row({
    method: "POST",
    path: "/builds/:id/retry",
    permission: "build",
    summary: "Asks for another build of the commit of one that failed or was cancelled.",
    params: byId,
    answer: plane.build,
    status: 201,
  }),
  reschedule: row({
    method: "POST",
    path: "/builds/:id/reschedule",
    permission: "build",
    summary: "Gives a queued build another priority or time.",
    params: byId,
    body: plane.rescheduleInput,
    answer: plane.build,
  }),
  attempts: row({
    method: "GET",
    path: "/builds/:id/attempts",
    summary: "Every attempt of a build, with where its log is.",
    params: byId,
    answer: z.strictObject({ items: z.array(plane.attempt) }),
  }),
  tests: row({
    method: "GET",
    path: "/builds/:id/tests",
    summary: "What each attempt's test stage left: cases and coverage.",
    params: byId,
    answer: z.strictObject({ items: z.array(buildTests) }),
    answerBytesMax: planBytesMax,
  }),
  why: row({
    method: "GET",
    path: "/builds/:id/why",
    summary: "Why a build waits: position, who is ahead, caps, builders, expected start.",
    params: byId,
    answer: plane.buildWhy,
  }),
  queue: row({
    method: "GET",
    path: "/queue",
    summary: "The queue as a scaler reads it: depth, oldest age, builders wanted.",
    answer: plane.queue,
  }),
};

export const commitStatuses = {
  set: row({
    method: "POST",
    path: "/projects/:project/commit-status",
    summary:
      "Says where a git host wants to hear how builds stand; `{commit}` in the URL is replaced.",
    params: z.strictObject({ project: name }),
    body: z.strictObject({
      /** Null: nobody is told. */
      url: httpUrl
        .max(2048)
        .refine((url) => url.includes("{commit}"), "must have {commit} in it")
        .nullable(),
      /** Bearer token that the host takes. */
      token: z.string().min(1).max(4096).nullable().default(null),
    }),
    status: 204,
  }),
  get: row({
    method: "GET",
    path: "/projects/:project/commit-status",
    summary: "Where the project's statuses go, how many wait, and what stands in the way.",
    params: z.strictObject({ project: name }),
    answer: z.strictObject({
      url: z.string().nullable(),
      waiting: z.int(),
      gaveUp: z.int(),
      /** Of the newest that couldn't be told. */
      problem: z.string().nullable(),
    }),
  }),
};

export const webhooks = {
  createSecret: row({
    method: "POST",
    path: "/projects/:project/webhook-secrets",
    summary: "Makes a secret for a git host to sign pushes with; the two newest count. Shown once.",
    params: z.strictObject({ project: name }),
    answer: plane.secret,
    status: 201,
  }),
  push: row({
    role: "any",
    method: "POST",
    path: "/webhooks/github/:project",
    summary: "A push, as GitHub tells of it: signed over its bytes with the project's secret.",
    params: z.strictObject({ project: name }),
    body: rawBytes,
    answer: z.strictObject({
      outcome: z.enum(["queued", "known", "ignored"]),
      build: z.int().nullable(),
    }),
  }),
};
