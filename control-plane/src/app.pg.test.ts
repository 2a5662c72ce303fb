// What every call may be answered with, and calls that reach further than the database.
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { HostStatus } from "@shoal/api/seeder";
import { createCertificate } from "@shoal/trust/certificate";
import { verifyGrant } from "@shoal/trust/grant";
import { enroll } from "@shoal/trust/enroll.test-kit";
import { createKey } from "@shoal/trust/key-file";
import { expect, test } from "vitest";
import { eachWithFleet } from "./each-fleet.test-kit.ts";
import type { TestFleet } from "./test-fleet.ts";

let fleet: TestFleet;
eachWithFleet(async (started) => {
  fleet = started;
});

const post = (path: string, body: string, token?: string) =>
  fleet.app.request(path, {
    method: "POST",
    body,
    headers: {
      "content-type": "application/json",
      "x-request-id": "r-1",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
  });

test("asks for a token before it looks at anything else, and for one of the right role", async () => {
  const nobody = await post("/v1/projects", "not json");
  expect(nobody.status).toBe(401);
  expect(nobody.headers.get("content-type")).toBe("application/problem+json");
  expect(await nobody.json()).toMatchObject({
    code: "unauthorized",
    requestId: "r-1",
    status: 401,
  });
  expect((await post("/v1/projects", "{}", "admin-tokem")).status).toBe(401);
  await fleet.admin.regions.create({ name: "east" });
  const builder = { role: "builder", name: "b", region: "east" } as const;
  const { token } = await enroll(fleet.admin, fleet.clientOf, builder);
  const wrong = await post("/v1/projects", "{}", token());
  expect([wrong.status, ((await wrong.json()) as { code: string }).code]).toEqual([
    403,
    "forbidden",
  ]);
});

test("names every fault of a body, with its path", async () => {
  const answer = await post("/v1/projects", '{"name":"No!","extra":1}', "admin-token");
  expect(answer.status).toBe(422);
  const { code, issues } = (await answer.json()) as { code: string; issues: { path: string }[] };
  expect(code).toBe("invalid_input");
  expect(issues.map((issue) => issue.path)).toEqual(
    expect.arrayContaining(["body.name", "body.remoteUrl", "body.buildCommand", "body"]),
  );
});

test("refuses bodies beyond the limit, and calls that there aren't", async () => {
  const large = await post("/v1/projects", `"${"x".repeat(5 * 1024 * 1024)}"`, "admin-token");
  expect([large.status, ((await large.json()) as { code: string }).code]).toEqual([
    413,
    "body_too_large",
  ]);
  const missing = await post("/v1/nothing", "{}", "admin-token");
  expect([missing.status, ((await missing.json()) as { code: string }).code]).toEqual([
    404,
    "not_found",
  ]);
});

test("says that the database is away, and that it may be tried again", async () => {
  await fleet.database.end();
  const answer = await fleet.app.request("/v1/readyz");
  expect(answer.status).toBe(503);
  expect(await answer.json()).toMatchObject({ code: "database_unavailable", retryable: true });
  expect((await fleet.app.request("/livez")).status).toBe(200);
});

test("lists page by page, each item once, in a fixed order", async () => {
  const names = Array.from({ length: 7 }, (_, index) => `p${index}`);
  for (const name of names) {
    await fleet.admin.projects.create({
      name,
      remoteUrl: "/x",
      buildCommand: "make",
      artifactPath: "o",
    });
  }
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await fleet.admin.projects.list({
      limit: 3,
      ...(cursor === undefined ? {} : { cursor }),
    });
    seen.push(...page.items.map((project) => project.name));
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  expect(seen).toEqual(names);
  await expect(fleet.admin.projects.list({ cursor: "bm8" })).rejects.toMatchObject({
    code: "cursor_invalid",
  });
});

test("keeps one home region, and moves it when asked to", async () => {
  const { regions } = fleet.admin;
  await regions.create({ name: "east", home: true });
  await expect(regions.create({ name: "west", home: true })).rejects.toMatchObject({
    code: "already_exists",
  });
  await regions.create({ name: "west" });
  await regions.update("west", { home: true });
  const { items } = await regions.list();
  expect(items.map(({ name, home }) => [name, home])).toEqual([
    ["east", false],
    ["west", true],
  ]);
});

test("asks seeders for their hosts over TLS that only they can answer, page by page", async () => {
  const key = createKey();
  const certificate = await createCertificate(key);
  const asked: string[] = [];
  const seeder = createServer({ ...certificate }, (request, response) => {
    const url = new URL(request.url ?? "", "https://seeder");
    asked.push(`${url.pathname}${url.search}`);
    const grant = request.headers.authorization?.replace("Bearer ", "") ?? "";
    const expected = { nowMs: Date.now(), region: "east", scope: "inspect" } as const;
    void verifyGrant(grant, fleet.trust, expected).then(() => {
      const after = Number(url.searchParams.get("cursor") ?? 0);
      const limit = Number(url.searchParams.get("limit"));
      const items = [0, 1, 2]
        .slice(after, after + limit)
        .map((index) => statusOf(`h${index}`, key.peerId));
      const next = after + limit < 3 ? String(after + limit) : null;
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ items, nextCursor: next }));
    });
  });
  await new Promise<void>((resolve) => {
    seeder.listen(0, "127.0.0.1", resolve);
  });
  const { port } = seeder.address() as AddressInfo;
  try {
    await fleet.admin.regions.create({ name: "east", home: true });
    const input = { role: "seeder", name: "s", region: "east", key } as const;
    const registering = (await enroll(fleet.admin, fleet.clientOf, input)).client.seeder;
    const address = { url: `https://127.0.0.1:${port}`, swarmAddresses: [], goalEpochMax: 0 };
    await registering.register(address);
    const first = await fleet.admin.hosts.list({ limit: 2 });
    expect(first.items.map((host) => host.host)).toEqual(["h0", "h1"]);
    const rest = await fleet.admin.hosts.list({ limit: 2, cursor: first.nextCursor ?? "" });
    expect([rest.items.map((host) => host.host), rest.nextCursor]).toEqual([["h2"], null]);
    // Whoever listens there with another key is told nothing.
    await fleet.database`update seeders set peer_id = ${createKey().peerId}`;
    const before = asked.length;
    expect(await fleet.admin.hosts.list()).toMatchObject({
      items: [],
      unreachable: [{ region: "east", seeder: "s" }],
    });
    expect(asked.length).toBe(before);
  } finally {
    seeder.closeAllConnections();
    seeder.close();
  }
});

function statusOf(host: string, peerId: string): HostStatus {
  return {
    host,
    agentVersion: "1",
    services: [],
    fetches: [],
    region: "east",
    zone: "default",
    labels: {},
    peerId,
    seenMsAgo: 10,
  };
}
