// The control plane's API as typed methods, one for each row of the route table, grouped by noun.
// No retries and no state: `call.ts` has what every call shares.
import { type Fetch, type CallConfig, type RenewToken, call, callRaw, decode } from "./call.ts";
import type { AnswerOf, BodyInputOf, BodyOf, QueryInputOf, Route } from "./route.ts";
import { builds, commitStatuses, webhooks } from "./build-routes.ts";
import { members, tokens } from "./member-routes.ts";
import { projects, regions } from "./project-routes.ts";
import * as routes from "./routes.ts";
import { seederTrustRoutes, trustRoutes } from "./trust-routes.ts";

export interface ClientOptions {
  readonly url: string;
  /** Bearer token, or what makes one for each call; without one only public calls answer. */
  readonly token: string | null | (() => string);
  /** Instead of the platform's fetch: pinned certificates, tests. */
  readonly fetch?: Fetch;
  /** What to do when the token isn't believed any more. */
  readonly renewToken?: RenewToken;
}

export interface LogPage {
  readonly bytes: Uint8Array;
  /** Where to read on. */
  readonly nextOffset: number;
  /** No more will come: the build has ended and this page reaches its end. */
  readonly ended: boolean;
}

export type Client = ReturnType<typeof createClient>;

/** Ends a call early; a call that is aborted rejects with the signal's reason. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** A client of the control plane at `url`. Every method throws ShoalError. */
export function createClient(options: ClientOptions) {
  const config: CallConfig = {
    url: options.url,
    token: options.token,
    fetch: options.fetch ?? ((url, init) => fetch(url, init)),
    renewToken: options.renewToken,
  };
  // By these it gets its next token.
  const joining: CallConfig = { ...config, renewToken: undefined };
  return {
    ...peopleMethods(config),
    members: {
      join: poster(joining, members.join),
      renew: (options?: CallOptions) => call(joining, members.renew, { ...options }),
    },
    builder: builderMethods(config),
    seeder: seederMethods(config),
  };
}

function peopleMethods(config: CallConfig) {
  const { services, rollouts, hosts } = routes;
  return {
    projects: {
      create: poster(config, projects.create),
      list: lister(config, projects.list),
      get: (project: string, options?: CallOptions) =>
        call(config, projects.get, { params: { project }, ...options }),
      update: (project: string, body: BodyInputOf<typeof projects.update>, options?: CallOptions) =>
        call(config, projects.update, { params: { project }, body, ...options }),
      setCommitStatus: async (
        project: string,
        body: BodyInputOf<typeof commitStatuses.set>,
        options?: CallOptions,
      ): Promise<void> => {
        await call(config, commitStatuses.set, { params: { project }, body, ...options });
      },
      commitStatus: (project: string, options?: CallOptions) =>
        call(config, commitStatuses.get, { params: { project }, ...options }),
      createWebhookSecret: (project: string, options?: CallOptions) =>
        call(config, webhooks.createSecret, { params: { project }, ...options }),
    },
    regions: {
      create: poster(config, regions.create),
      list: lister(config, regions.list),
      update: (region: string, body: BodyInputOf<typeof regions.update>, options?: CallOptions) =>
        call(config, regions.update, { params: { region }, body, ...options }),
    },
    services: {
      create: poster(config, services.create),
      list: lister(config, services.list),
      get: (environment: string, service: string, options?: CallOptions) =>
        call(config, services.get, { params: { environment, service }, ...options }),
      deploy: serviceVerb(config, services.deploy),
      rollback: serviceVerb(config, services.rollback),
      allow: serviceVerb(config, services.allow),
      update: serviceVerb(config, services.update),
      pause: serviceVerb(config, services.pause),
      resume: (environment: string, service: string, options?: CallOptions) =>
        call(config, services.resume, { params: { environment, service }, ...options }),
      abort: serviceVerb(config, services.abort),
      troubled: (environment: string, service: string, options?: CallOptions) =>
        call(config, services.troubled, { params: { environment, service }, ...options }),
    },
    environments: environmentMethods(config),
    rollouts: { list: lister(config, rollouts.list), get: getter(config, rollouts.get) },
    quarantines: { list: lister(config, rollouts.quarantines) },
    hosts: { list: lister(config, hosts.list) },
    tokens: {
      create: poster(config, tokens.create),
      revokePerson: poster(config, tokens.revokePerson),
    },
    joinTokens: { create: poster(config, tokens.createJoin) },
    trust: {
      get: (options?: CallOptions) => call(config, trustRoutes.get, { ...options }),
      publish: poster(config, trustRoutes.publish),
    },
    revocations: {
      create: poster(config, trustRoutes.revoke),
      list: lister(config, trustRoutes.revocations),
    },
    builds: buildMethods(config),
  };
}

function environmentMethods(config: CallConfig) {
  const { environments } = routes;
  return {
    create: poster(config, environments.create),
    list: lister(config, environments.list),
    get: (environment: string, options?: CallOptions) =>
      call(config, environments.get, { params: { environment }, ...options }),
    update: (
      environment: string,
      body: BodyInputOf<typeof environments.update>,
      options?: CallOptions,
    ) => call(config, environments.update, { params: { environment }, body, ...options }),
  };
}

function buildMethods(config: CallConfig) {
  return {
    start: poster(config, builds.start),
    list: lister(config, builds.list),
    get: getter(config, builds.get),
    cancel: getter(config, builds.cancel),
    searchLog: (id: number, query: QueryInputOf<typeof builds.searchLog>, options?: CallOptions) =>
      call(config, builds.searchLog, { params: { id }, query, ...options }),
    checkLog: getter(config, builds.checkLog),
    retry: getter(config, builds.retry),
    reschedule: buildVerb(config, builds.reschedule),
    attempts: getter(config, builds.attempts),
    tests: getter(config, builds.tests),
    why: getter(config, builds.why),
    queue: (options?: CallOptions) => call(config, builds.queue, { ...options }),
    /** The log from `offset` on, held open for `waitMs` when nothing is there yet. */
    log: (id: number, query: QueryInputOf<typeof builds.log> = {}, options?: CallOptions) =>
      readLog(config, id, query, options),
  };
}

function builderMethods(config: CallConfig) {
  const { builderRoutes } = routes;
  return {
    lease: poster(config, builderRoutes.lease),
    drain: async (
      body: BodyInputOf<typeof builderRoutes.drain>,
      options?: CallOptions,
    ): Promise<void> => {
      await call(config, builderRoutes.drain, { body, ...options });
    },
    heartbeat: buildVerb(config, builderRoutes.heartbeat),
    reportTests: async (
      id: number,
      body: BodyInputOf<typeof builderRoutes.reportTests>,
      options?: CallOptions,
    ): Promise<void> => {
      await call(config, builderRoutes.reportTests, { params: { id }, body, ...options });
    },
    publish: buildVerb(config, builderRoutes.publish),
    fail: buildVerb(config, builderRoutes.fail),
    cancelled: buildVerb(config, builderRoutes.cancelled),
    /** Appends raw log bytes that start at `offset` of the attempt's log. */
    appendLog: async (
      id: number,
      query: { readonly fence: string; readonly offset: number },
      body: Uint8Array,
      options?: CallOptions,
    ): Promise<void> => {
      await call(config, builderRoutes.appendLog, { params: { id }, query, body, ...options });
    },
  };
}

function seederMethods(config: CallConfig) {
  const { seederRoutes } = routes;
  return {
    register: poster(config, seederRoutes.register),
    /** The plan, or null when it is still the `known` one after `waitMs`. */
    plan: async (query: QueryInputOf<typeof seederRoutes.plan> = {}, options?: CallOptions) => {
      const answer = await callRaw(config, seederRoutes.plan, { query, ...options });
      return answer.status === 304 ? null : decode(seederRoutes.plan, answer);
    },
    report: async (
      body: BodyOf<typeof seederRoutes.report>,
      options?: CallOptions,
    ): Promise<void> => {
      await call(config, seederRoutes.report, { body, ...options });
    },
    passport: poster(config, seederRoutes.passport),
    trust: (options?: CallOptions) => call(config, seederTrustRoutes.state, { ...options }),
    joinTokens: (options?: CallOptions) =>
      call(config, seederTrustRoutes.joinTokens, { ...options }),
    admissions: async (
      body: BodyOf<typeof seederTrustRoutes.admissions>,
      options?: CallOptions,
    ): Promise<void> => {
      await call(config, seederTrustRoutes.admissions, { body, ...options });
    },
    /** Throws `fence_stale` when the build's lease isn't this one any more. */
    checkLease: async (id: number, fence: string, options?: CallOptions): Promise<void> => {
      await call(config, seederRoutes.checkLease, { params: { id }, body: { fence }, ...options });
    },
  };
}

function poster<R extends Route>(config: CallConfig, route: R) {
  return (body: BodyInputOf<R>, options?: CallOptions): Promise<AnswerOf<R>> =>
    call(config, route, { body, ...options });
}

function lister<R extends Route>(config: CallConfig, route: R) {
  return (query?: QueryInputOf<R>, options?: CallOptions): Promise<AnswerOf<R>> =>
    call(config, route, { ...(query === undefined ? {} : { query }), ...options });
}

function getter<R extends Route>(config: CallConfig, route: R) {
  return (id: number, options?: CallOptions): Promise<AnswerOf<R>> =>
    call(config, route, { params: { id }, ...options });
}

function buildVerb<R extends Route>(config: CallConfig, route: R) {
  return (id: number, body: BodyInputOf<R>, options?: CallOptions): Promise<AnswerOf<R>> =>
    call(config, route, { params: { id }, body, ...options });
}

function serviceVerb<R extends Route>(config: CallConfig, route: R) {
  return (
    environment: string,
    service: string,
    body: BodyInputOf<R>,
    options?: CallOptions,
  ): Promise<AnswerOf<R>> =>
    call(config, route, { params: { environment, service }, body, ...options });
}

async function readLog(
  config: CallConfig,
  id: number,
  query: QueryInputOf<typeof builds.log>,
  options?: CallOptions,
): Promise<LogPage> {
  const answer = await callRaw(config, builds.log, { params: { id }, query, ...options });
  const offset = Number(query.offset ?? 0);
  const next = Number(answer.headers.get("shoal-log-next-offset") ?? Number.NaN);
  return {
    bytes: answer.bytes,
    nextOffset: Number.isSafeInteger(next) && next >= offset ? next : offset + answer.bytes.length,
    ended: answer.headers.get("shoal-log-ended") === "true",
  };
}
