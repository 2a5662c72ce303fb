// The control plane's route table: every row of docs/PROTOCOL.md 4, once. Grouped by who calls.
import { logAppendBytesMax, planBytesMax, seederReportBytesMax } from "@shoal/core/limits";
import { z } from "zod";
import { builds, commitStatuses, webhooks } from "./build-routes.ts";
import * as builder from "./builder.ts";
import * as plane from "./control-plane.ts";
import * as environment from "./environments.ts";
import { projects, regions } from "./project-routes.ts";
import { count, name, page, releaseId } from "./names.ts";
import { members, tokens } from "./member-routes.ts";
import { type Route, rawBytes } from "./route.ts";
import { byId, byService, pageQuery, paging, row } from "./row.ts";
import * as seeder from "./seeder.ts";
import { seederTrustRoutes, trustRoutes } from "./trust-routes.ts";

export const services = {
  create: row({
    method: "POST",
    path: "/services",
    summary: "Creates a service.",
    body: plane.serviceInput,
    answer: plane.service,
    status: 201,
  }),
  list: row({
    method: "GET",
    path: "/services",
    summary: "Lists services.",
    query: pageQuery,
    answer: page(plane.service),
  }),
  get: row({
    method: "GET",
    path: "/services/:environment/:service",
    summary: "One service.",
    params: byService,
    answer: plane.service,
  }),
  update: row({
    method: "PATCH",
    path: "/services/:environment/:service",
    summary: "Changes whom a service runs on, at once, or how, from the next deploy on.",
    params: byService,
    body: plane.servicePatch,
    answer: plane.service,
  }),
  deploy: row({
    method: "POST",
    path: "/services/:environment/:service/deploy",
    permission: "deploy",
    summary: "Rolls a build out to all hosts of a service, wave by wave.",
    params: byService,
    body: plane.deployInput,
    answer: plane.rollout,
    status: 201,
  }),
  rollback: row({
    method: "POST",
    path: "/services/:environment/:service/rollback",
    permission: "rollback",
    summary: "Goes back to an earlier release at once, and quarantines the present one.",
    params: byService,
    body: plane.rollbackInput,
    answer: plane.rollout,
    status: 201,
  }),
  allow: row({
    method: "POST",
    path: "/services/:environment/:service/allow",
    permission: "allow",
    summary: "Lifts the quarantine of a release.",
    params: byService,
    body: z.strictObject({ release: releaseId }),
    answer: plane.service,
  }),
  pause: row({
    method: "POST",
    path: "/services/:environment/:service/pause",
    permission: "operate",
    summary: "Lets the rollout under way open nobody further; failures still halt it.",
    params: byService,
    body: plane.holdInput,
    answer: plane.rollout,
  }),
  resume: row({
    method: "POST",
    path: "/services/:environment/:service/resume",
    permission: "operate",
    summary: "Lets a paused rollout go on.",
    params: byService,
    answer: plane.rollout,
  }),
  abort: row({
    method: "POST",
    path: "/services/:environment/:service/abort",
    permission: "operate",
    summary: "Gives a deploy up: its hosts go back to what ran before.",
    params: byService,
    body: plane.holdInput,
    answer: plane.rollout,
  }),
  troubled: row({
    method: "GET",
    path: "/services/:environment/:service/troubled",
    summary: "Hosts that failed a release in the newest rollout, at most 100 of each seeder.",
    params: byService,
    answer: z.strictObject({ items: z.array(plane.troubledHost), failed: count }),
    answerBytesMax: planBytesMax,
  }),
};

export const environments = {
  create: row({
    method: "POST",
    path: "/environments",
    summary: "Creates an environment.",
    body: environment.environmentInput,
    answer: environment.environment,
    status: 201,
  }),
  list: row({
    method: "GET",
    path: "/environments",
    summary: "Lists environments with their rules.",
    query: pageQuery,
    answer: page(environment.environment),
  }),
  get: row({
    method: "GET",
    path: "/environments/:environment",
    summary: "One environment.",
    params: z.strictObject({ environment: name }),
    answer: environment.environment,
  }),
  update: row({
    method: "PATCH",
    path: "/environments/:environment",
    summary: "Changes an environment's set or rules.",
    params: z.strictObject({ environment: name }),
    body: environment.environmentPatch,
    answer: environment.environment,
  }),
};

export const rollouts = {
  list: row({
    method: "GET",
    path: "/rollouts",
    summary: "Lists rollouts, the newest first.",
    query: pageQuery,
    answer: page(plane.rollout),
  }),
  get: row({
    method: "GET",
    path: "/rollouts/:id",
    summary: "One rollout, with what it waits for.",
    params: byId,
    answer: plane.rollout,
  }),
  quarantines: row({
    method: "GET",
    path: "/quarantines",
    summary: "Lists releases that may not be deployed.",
    query: pageQuery,
    answer: page(plane.quarantine),
  }),
};

export const hosts = {
  list: row({
    method: "GET",
    path: "/hosts",
    summary: "Hosts and what each runs, asked of the seeders.",
    query: z.strictObject({ region: name.optional(), ...paging }),
    answer: page(seeder.hostStatus).extend({ unreachable: z.array(plane.unreachableSeeder) }),
    answerBytesMax: planBytesMax,
  }),
};

export const builderRoutes = {
  lease: row({
    role: "builder",
    method: "POST",
    path: "/builder/lease",
    summary: "Takes the next build.",
    body: builder.leaseInput,
    answer: z.strictObject({ lease: builder.lease.nullable() }),
  }),
  drain: row({
    role: "builder",
    method: "POST",
    path: "/builder/drain",
    summary: "Says that a builder takes no more builds.",
    body: builder.drainInput,
    status: 204,
  }),
  heartbeat: row({
    role: "builder",
    method: "POST",
    path: "/builder/builds/:id/heartbeat",
    summary: "Keeps a lease.",
    params: byId,
    body: builder.heartbeatInput,
    answer: builder.heartbeat,
  }),
  appendLog: row({
    role: "builder",
    method: "POST",
    path: "/builder/builds/:id/log",
    summary: "Appends to the attempt's log.",
    params: byId,
    query: builder.logAppendQuery,
    body: rawBytes,
    bodyBytesMax: logAppendBytesMax,
    status: 204,
  }),
  reportTests: row({
    role: "builder",
    method: "POST",
    path: "/builder/builds/:id/tests",
    summary: "Says what the attempt's test stage left.",
    params: byId,
    body: builder.testsInput,
    status: 204,
  }),
  publish: row({
    role: "builder",
    method: "POST",
    path: "/builder/builds/:id/publish",
    summary: "Says what the build became.",
    params: byId,
    body: builder.publishInput,
    answer: builder.attemptEnded,
  }),
  fail: row({
    role: "builder",
    method: "POST",
    path: "/builder/builds/:id/fail",
    summary: "Says why it failed.",
    params: byId,
    body: builder.failInput,
    answer: builder.attemptEnded,
  }),
  cancelled: row({
    role: "builder",
    method: "POST",
    path: "/builder/builds/:id/cancelled",
    summary: "Proves that nothing of it runs anymore.",
    params: byId,
    body: builder.cancelledInput,
    answer: builder.attemptEnded,
  }),
};

export const seederRoutes = {
  register: row({
    role: "seeder",
    method: "POST",
    path: "/seeder/register",
    summary: "Says where the seeder is.",
    body: seeder.registerInput,
    answer: seeder.registered,
  }),
  plan: row({
    role: "seeder",
    method: "GET",
    path: "/seeder/plan",
    summary: "What the region should have; 304 while nothing changed.",
    query: seeder.planQuery,
    answer: seeder.plan,
    answerBytesMax: planBytesMax,
  }),
  report: row({
    role: "seeder",
    method: "POST",
    path: "/seeder/report",
    summary: "What the region has, and sums over its hosts.",
    body: seeder.seederReport,
    bodyBytesMax: seederReportBytesMax,
    status: 204,
  }),
  checkLease: row({
    role: "seeder",
    method: "POST",
    path: "/seeder/leases/:id/check",
    summary: "Whether a builder may still push for a build: refused when its lease is lost.",
    params: byId,
    body: seeder.leaseCheckInput,
    status: 204,
  }),
  passport: row({
    role: "seeder",
    method: "POST",
    path: "/seeder/passports",
    summary: "A passport for a host that brings a join token.",
    body: seeder.passportInput,
    answer: seeder.passportAnswer,
  }),
};

/** Every row with its name, as the OpenAPI document lists them. */
export function allRoutes(): readonly (readonly [operation: string, route: Route])[] {
  const groups = {
    projects,
    regions,
    services,
    environments,
    rollouts,
    hosts,
    tokens,
    members,
    builds,
    webhooks,
    trust: trustRoutes,
    commitStatuses,
    builder: builderRoutes,
    seeder: seederRoutes,
    seederTrust: seederTrustRoutes,
  };
  return Object.entries(groups).flatMap(([group, rows]) =>
    Object.entries(rows).map(([key, route]): readonly [string, Route] => [
      `${group}.${key}`,
      route,
    ]),
  );
}
