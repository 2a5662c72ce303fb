import type { Release } from "@shoal/core/rollout/release";
import { expect, test } from "vitest";
import { makeArtifact, type TestArtifact } from "../region.test-kit.ts";
import { release, runSpec } from "../releases.test-kit.ts";
import { eventually } from "../test-folder.test-kit.ts";
import { openHost, type TestHost } from "./artifacts.test-kit.ts";

const [a, b, c] = [makeArtifact(100, 20), makeArtifact(105, 20), makeArtifact(900, 20)];
const of = ({ cid }: TestArtifact): Release => release(runSpec("x"), cid);
const isHeld = (host: TestHost, artifact: TestArtifact) => () =>
  host.artifacts.isHeld(artifact.cid);

const failedFetches = ({ told }: TestHost): readonly string[] =>
  told.filter((what) => what.endsWith("fetch_failed"));

test("is paused by a person: nothing more comes, it says so, over a restart too, and goes on", async () => {
  const host = await openHost();
  host.region.add(a);
  host.swarm.allow = 8;
  host.artifacts.want([of(a)]);
  await eventually(() => host.artifacts.describe(a.cid).startsWith("40% here"));
  const paused = new Set([a.cid]);
  host.artifacts.pause(paused);
  host.swarm.allow = Number.POSITIVE_INFINITY;
  const said = "40% here, 1 links, waits for 1 of 1 pieces: paused by a person";
  await eventually(() => host.artifacts.describe(a.cid) === said);
  expect(host.artifacts.fetches()).toMatchObject([{ waits: { reason: "paused" } }]);
  expect(failedFetches(host)).toEqual([]);
  await host.restart();
  host.artifacts.pause(paused);
  host.artifacts.want([of(a), of(b), of(c)]);
  // It is a member that serves what it has, and takes nobody's place.
  await eventually(() => host.artifacts.describe(a.cid) === said);
  host.region.add(b);
  host.region.add(c);
  await eventually(() => [b, c].every((other) => isHeld(host, other)()));
  expect(host.artifacts.describe(a.cid)).toBe(said);
  expect(host.artifacts.isHeld(a.cid)).toBe(false);
  host.artifacts.pause(new Set());
  await eventually(isHeld(host, a));
  expect(failedFetches(host)).toEqual([]);
});

test("doesn't ask for the manifest of what was paused before it began, and says so", async () => {
  const host = await openHost();
  host.region.add(a);
  host.artifacts.pause(new Set([a.cid]));
  host.artifacts.want([of(a)]);
  await eventually(() => host.seeder.asked.some((path) => path.endsWith("/statement")));
  expect(host.artifacts.describe(a.cid)).toBe("paused by a person");
  expect(host.swarm.joined).toEqual([]);
  expect(host.seeder.asked.filter((path) => path.includes("manifest"))).toEqual([]);
  host.artifacts.pause(new Set());
  await eventually(isHeld(host, a));
});
