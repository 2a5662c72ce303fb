// Whoever isn't trusted, and whatever isn't a request: refused with a reason where somebody looks, and
// the fleet goes on as before.
import { createSeederClient } from "@shoal/api/seeder-client";
import { ShoalError } from "@shoal/core/error";
import type { HostId } from "@shoal/core/ids";
import { hourMs } from "@shoal/core/units";
import { createCertificate } from "@shoal/trust/certificate";
import { createKey, readKey, writeKey, type KeyFile } from "@shoal/trust/key-file";
import { issuePassport } from "@shoal/trust/passport";
import { createPinnedFetch } from "@shoal/trust/pinned-fetch";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Fleet, type Seeder } from "./fleet.ts";
import { allHealthy, build, deploy } from "./person.ts";
import { SampleProject, sampleRun } from "./sample-project.ts";
import { waitFor } from "./wait-for.ts";

const minuteMs = 60_000;
const service = "sample";

let fleet: Fleet;
let seeder: Seeder;
let project: SampleProject;
let versions = 0;

beforeAll(async () => {
  fleet = await Fleet.empty();
  await fleet.startControl();
  await fleet.client.regions.create({ name: "eu", home: true, inService: true });
  seeder = await fleet.addSeeder("eu");
  await fleet.addBuilder("builder-1");
  await fleet.addHost("host-1", seeder);
  const size = { parts: 1, partBytes: 100_000, changed: 1 };
  project = await SampleProject.create(join(fleet.dir, "repository"), size);
  await createProject(service, {});
  await fleet.client.services.create({ name: service, project: service, run: sampleRun });
}, 2 * minuteMs);
afterAll(() => fleet?.[Symbol.asyncDispose](), minuteMs);

function createProject(name: string, builderLabels: Readonly<Record<string, string>>) {
  return fleet.client.projects.create({
    name,
    remoteUrl: project.dir,
    buildCommand: "node build.mjs",
    artifactPath: "out",
    builderLabels,
  });
}

async function nextCommit(): Promise<string> {
  versions += 1;
  return project.commit(`v${versions}`);
}

/** What was refused blocks nothing: another version comes to every host that is the fleet's. */
async function expectFleetGoesOn(): Promise<void> {
  const built = await build(fleet, service, await nextCommit());
  expect(built).toMatchObject({ state: "SUCCEEDED" });
  const rollout = await deploy(fleet, service, built);
  expect(rollout).toMatchObject({ state: "SUCCEEDED", hosts: 1 });
  await allHealthy(fleet, 1, rollout.release.id);
}

async function logOf(name: string): Promise<string> {
  return readFile(join(fleet.dir, `${name}.log`), "utf8");
}

describe("a builder whose key nobody has trusted", () => {
  test("gets nothing published, and the build says why", { timeout: 2 * minuteMs }, async () => {
    const keyFile = join(fleet.dir, "stranger.jwk");
    await writeKey(keyFile, createKey());
    await fleet.addBuilder("builder-2", { keyFile, labels: { kind: "stranger" } });
    await createProject("strange", { kind: "stranger" });
    const { id } = await fleet.client.builds.start({
      project: "strange",
      commit: await nextCommit(),
    });
    const ended = await waitFor("the build to end", minuteMs, async () => {
      const now = await fleet.client.builds.get(id);
      return now.endedAt === null ? null : now;
    });
    expect(ended).toMatchObject({
      state: "DEAD",
      attempt: 1,
      failure: { code: "builder_key_untrusted", blame: "system" },
    });
    expect(ended.failure?.message).toMatch(/signature_key_unknown.*trust document/);
    const log = await fleet.client.builds.log(id, { offset: 0, waitMs: 0 });
    expect(new TextDecoder().decode(log.bytes)).toContain("builder_key_untrusted: ");
    const next = await fleet.client.builds.retry(id);
    await waitFor("the builder to say that it takes no more", minuteMs, async () =>
      (await logOf("builder-2")).includes("loop run failed") ? true : null,
    );
    expect(await fleet.client.builds.get(next.id)).toMatchObject({ state: "QUEUED", attempt: 0 });
    await fleet.client.builds.cancel(next.id);
    await fleet.member("builder-2").stop();
    await expectFleetGoesOn();
  });
});

describe("a host that isn't the fleet's", () => {
  test(
    "doesn't join with a token of nobody's, and says so",
    { timeout: 2 * minuteMs },
    async () => {
      await fleet.addHost("host-2", seeder, { joinToken: "nobody-gave-me-this-token" });
      try {
        await waitFor("the agent to say it", minuteMs / 2, async () =>
          (await logOf("host-2")).includes("join_token_invalid") ? true : null,
        );
        expect((await fleet.hosts()).map(({ host }) => host)).toEqual(["host-1"]);
        await expectFleetGoesOn();
      } finally {
        await fleet.member("host-2").stop();
      }
    },
  );

  const forged: readonly (readonly [string, (host: KeyFile) => Promise<string>, string])[] = [
    ["that it signed itself", (host) => passport(host, host, "eu"), "signature_key_unknown"],
    [
      "of another host",
      async () => passport(await fleetKey(), createKey(), "eu"),
      "passport_peer_wrong",
    ],
    [
      "of another region",
      async (host) => passport(await fleetKey(), host, "us"),
      "passport_region_wrong",
    ],
    [
      "that has ended",
      async (host) => passport(await fleetKey(), host, "eu", Date.now() - 2 * hourMs),
      "passport_expired",
    ],
    ["that isn't one", async () => "eyJhbGciOiJub25lIn0.e30.", "passport_invalid"],
  ];

  test.for(forged)("gets no goals for a passport %s", async ([, make, code]) => {
    const host = createKey();
    const certificate = await createCertificate(host);
    const pinned = createPinnedFetch({ peerId: seeder.peerId, certificate });
    try {
      const token = await make(host);
      const client = createSeederClient({ url: seeder.url, token: () => token, fetch: pinned });
      const refused: unknown = await client
        .hostGoals({ waitMs: 0 })
        .catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(ShoalError);
      expect(refused).toMatchObject({ code });
    } finally {
      await pinned.close();
    }
  });

  function fleetKey(): Promise<KeyFile> {
    return readKey(fleet.keys.controlPlaneKeyFile);
  }

  function passport(
    issuer: KeyFile,
    host: KeyFile,
    region: string,
    nowMs = Date.now(),
  ): Promise<string> {
    const facts = { peerId: host.peerId, host: "host-9" as HostId, region, zone: "a" };
    const rest = { role: "host", labels: {}, environment: "production" } as const;
    return issuePassport(issuer, { ...facts, ...rest }, hourMs, nowMs);
  }
});

describe("a request that isn't one", () => {
  interface Row {
    readonly what: string;
    readonly path: string;
    readonly init: RequestInit;
    readonly status: number;
    readonly code: string;
  }
  const json = { "content-type": "application/json" };
  const rows: readonly Row[] = [
    { what: "no token", path: "/v1/builds", init: {}, status: 401, code: "unauthorized" },
    {
      what: "a token of nobody's",
      path: "/v1/builds",
      init: { headers: { authorization: "Bearer guess" } },
      status: 401,
      code: "unauthorized",
    },
    {
      what: "a body that isn't JSON",
      path: "/v1/projects",
      init: { method: "POST", headers: json, body: "{" },
      status: 422,
      code: "invalid_input",
    },
    {
      what: "unknown keys and missing ones",
      path: "/v1/projects",
      init: { method: "POST", headers: json, body: '{"name":"x","evil":true}' },
      status: 422,
      code: "invalid_input",
    },
    {
      what: "a name that is a path",
      path: "/v1/services/..%2f..%2fetc/passwd",
      init: {},
      status: 422,
      code: "invalid_input",
    },
    {
      what: "a body of 64 MiB",
      path: "/v1/projects",
      init: { method: "POST", headers: json, body: "x".repeat(64 * 1024 ** 2) },
      status: 413,
      code: "body_too_large",
    },
    { what: "no such call", path: "/v1/nothing", init: {}, status: 404, code: "not_found" },
    {
      what: "a build number beyond all numbers",
      path: "/v1/builds/99999999999999999999",
      init: {},
      status: 422,
      code: "invalid_input",
    },
  ];

  test.for(rows)("$what is answered with its code", async ({ what, path, init, status, code }) => {
    const admin = (await readFile(fleet.tokenFile, "utf8")).trim();
    const authorized = what.includes("token") ? {} : { authorization: `Bearer ${admin}` };
    const headers = { ...authorized, ...(init.headers as Record<string, string> | undefined) };
    const response = await fetch(`${fleet.url}${path}`, { ...init, headers });
    const problem = (await response.json()) as { code: string; requestId: string };
    expect(problem).toMatchObject({ code });
    expect(problem.requestId).not.toBe("");
    expect(response.status).toBe(status);
    expect(response.headers.get("content-type")).toContain("application/problem+json");
  });

  test(
    "bytes that are no protocol end their connection and nothing else",
    { timeout: 2 * minuteMs },
    async () => {
      const ports = [fleet.url, seeder.url].map((url) => Number(new URL(url).port));
      const swarm = (await logOf("host-1")).match(/\/tcp\/(\d+)/)?.[1];
      if (swarm !== undefined) ports.push(Number(swarm));
      expect(ports).toHaveLength(3);
      for (const port of ports) {
        for (const bytes of [
          new Uint8Array(65_536).fill(255),
          Buffer.from("GET / HTTP/9.9\r\n\r\n"),
        ]) {
          const socket = connect({ host: "127.0.0.1", port });
          socket.on("error", () => {}); // Being cut off is what is wanted.
          socket.setTimeout(20_000, () => socket.destroy(new Error("never cut off")));
          socket.end(bytes);
          socket.resume();
          await once(socket, "close");
        }
      }
      await expectFleetGoesOn();
    },
  );
});
