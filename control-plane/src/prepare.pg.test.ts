import { afterAll, beforeAll, expect, test } from "vitest";
import { TestServer, commitFor, startFleet } from "./test-fleet.ts";

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const own = { name: "web", remoteUrl: "/srv/web", buildCommand: "make", artifactPath: "out" };

test("a lease carries what its project needs to be prepared", async () => {
  await using fleet = await startFleet(server);
  await fleet.admin.regions.create({ name: "east", home: true });
  await fleet.seeder("east");
  const prepare = { command: "npm ci", hosts: ["registry.example.org"], lockFiles: [] };
  expect((await fleet.admin.projects.create({ ...own, prepare })).prepare).toEqual(prepare);
  await fleet.admin.builds.start({ project: "web", commit: commitFor("one"), priority: 0 });
  const { builder } = await fleet.builder();
  const { lease } = await builder.lease({ builder: "b1" });
  expect(lease?.prepare).toEqual(prepare);
});

test("a project's hosts and lock files are names, and not too many", async () => {
  await using fleet = await startFleet(server);
  const plain = await fleet.admin.projects.create(own);
  expect(plain.prepare).toBeNull();
  for (const wrong of [
    { command: "" },
    { command: "x", hosts: ["https://a.example/"] },
    { command: "x", hosts: ["*.example.org"] },
    { command: "x", hosts: Array.from({ length: 65 }, (_, index) => `h${index}.example`) },
    { command: "x", lockFiles: Array.from({ length: 65 }, (_, index) => `${index}.lock`) },
  ]) {
    await expect(
      fleet.admin.projects.create({ ...own, name: "other", prepare: wrong }),
    ).rejects.toMatchObject({ code: "invalid_input" });
  }
});
