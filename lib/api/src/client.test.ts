import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { IncomingMessage, ServerResponse } from "node:http";
import { afterEach, expect, test } from "vitest";
import { type ClientOptions, createClient } from "./client.ts";
import type { Project } from "./control-plane.ts";

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

const project: Project = {
  name: "greeter",
  remoteUrl: "/srv/greeter",
  buildCommand: "make",
  artifactPath: "out",
  prepare: null,
  test: null,
  limits: {
    memoryBytesMax: 1,
    cpuPercentMax: 1,
    processesMax: 1,
    timeoutMs: 1000,
    diskBytesMax: 1,
  },
  buildsRunningMax: null,
  buildShare: 1,
  branches: [],
  builderLabels: {},
  createdAt: "2026-11-21T00:00:00.000Z",
};

/** A real server that answers everything with `handle`, and a client of it. */
async function serve(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  options: Partial<ClientOptions> = {},
) {
  const server = createServer(handle);
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  stops.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return createClient({ url: `http://127.0.0.1:${port}/`, token: "secret", ...options });
}

function json(
  response: ServerResponse,
  status: number,
  body: unknown,
  type = "application/json",
): void {
  response.writeHead(status, { "content-type": type });
  response.end(JSON.stringify(body));
}

test("sends the token, the path with encoded parameters, and decodes the answer", async () => {
  const seen: string[] = [];
  const client = await serve((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    json(response, 200, project);
  });
  const answer: Project = await client.projects.get("gree/ter?");
  expect(answer).toEqual(project);
  expect(seen).toEqual(["GET /v1/projects/gree%2Fter%3F Bearer secret"]);
});

test("turns a problem into an error with its code, hint, facts and who is to blame", async () => {
  const client = await serve((_, response) => {
    json(
      response,
      409,
      {
        type: "urn:shoal:problem:fence_stale",
        title: "fence stale",
        status: 409,
        detail: "The lease is gone.",
        code: "fence_stale",
        requestId: "r1",
        retryable: false,
        hint: "Stop the build.",
        details: { current: "7" },
      },
      "application/problem+json",
    );
  });
  await expect(client.builder.heartbeat(1, { fence: "3" })).rejects.toMatchObject({
    code: "fence_stale",
    blame: "local",
    hint: "Stop the build.",
    details: { current: "7", status: 409, requestId: "r1" },
  });
});

test("refuses an answer that isn't what the route promises", async () => {
  const client = await serve((_, response) => json(response, 200, { ...project, surprise: 1 }));
  await expect(client.projects.get("greeter")).rejects.toMatchObject({ code: "answer_invalid" });
});

test("refuses an answer beyond the route's limit without reading it all", async () => {
  const client = await serve((_, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    const block = Buffer.alloc(1024 * 1024, 0x20);
    const more = (): void => {
      while (!response.destroyed && response.write(block));
    };
    response.on("drain", more);
    more();
  });
  await expect(client.projects.get("greeter")).rejects.toMatchObject({ code: "answer_too_large" });
});

test("doesn't follow redirects, which would carry the token elsewhere", async () => {
  const seen: (string | undefined)[] = [];
  const client = await serve((request, response) => {
    seen.push(request.url);
    response.writeHead(307, { location: "/elsewhere" });
    response.end();
  });
  await expect(client.projects.get("greeter")).rejects.toMatchObject({
    code: "control_plane_unreachable",
  });
  expect(seen).toEqual(["/v1/projects/greeter"]);
});

test("answers null for a plan that is still the known one", async () => {
  const client = await serve((_, response) => {
    response.writeHead(304);
    response.end();
  });
  expect(await client.seeder.plan({ known: "abc" })).toBeNull();
});

test("reads a log page with where to go on and whether it has ended", async () => {
  const client = await serve((_, response) => {
    response.writeHead(200, { "shoal-log-next-offset": "15", "shoal-log-ended": "true" });
    response.end("hello");
  });
  const page = await client.builds.log(1, { offset: 10 });
  expect([Buffer.from(page.bytes).toString(), page.nextOffset, page.ended]).toEqual([
    "hello",
    15,
    true,
  ]);
});

test("says that the control plane can't be reached, and that it may be later", async () => {
  const client = createClient({ url: "http://127.0.0.1:1", token: null });
  await expect(client.regions.list()).rejects.toMatchObject({
    code: "control_plane_unreachable",
    retryable: true,
  });
});

test("a caller that isn't believed any more makes the call once more with another token", async () => {
  const shown: (string | undefined)[] = [];
  let token = "old";
  const client = await serve(
    ({ headers }, response) => {
      shown.push(headers.authorization);
      const isOld = headers.authorization === "Bearer old";
      const details = isOld ? { details: { refused: "caller" } } : {};
      const refusal = { code: "key_expired", title: "no", retryable: false, ...details };
      json(response, 400, { type: "urn:shoal:problem:x", status: 400, requestId: "r", ...refusal });
    },
    {
      token: () => token,
      renewToken: async (error, refused) => {
        expect([error.code, refused]).toEqual(["key_expired", "old"]);
        token = "new";
      },
    },
  );
  // The second answer is about what was sent: no token helps.
  await expect(client.builder.lease({ builder: "b", labels: {}, waitMs: 0 })).rejects.toMatchObject(
    {
      code: "key_expired",
    },
  );
  expect(shown).toEqual(["Bearer old", "Bearer new"]);
});
