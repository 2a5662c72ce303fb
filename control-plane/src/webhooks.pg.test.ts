import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { eachWithFleet } from "./each-fleet.test-kit.ts";
import { type TestFleet, commitFor } from "./test-fleet.ts";

let fleet: TestFleet;
eachWithFleet(async (started) => {
  fleet = started;
  await fleet.admin.projects.create({
    name: "greeter",
    remoteUrl: "/srv/greeter",
    buildCommand: "make",
    artifactPath: "out",
  });
});

const secretOf = async (): Promise<string> =>
  (await fleet.admin.projects.createWebhookSecret("greeter")).token;
const pushOf = (text: string, more: object = {}) => ({
  ref: "refs/heads/main",
  before: "0".repeat(40),
  after: commitFor(text),
  deleted: false,
  repository: { full_name: "a/b", clone_url: "https://evil.example/b.git" },
  commits: [],
  ...more,
});

/** A delivery as GitHub sends it, byte for byte. */
const recorded = (name: "push" | "deleted" | "tag" | "ping"): Buffer =>
  readFileSync(new URL(`../../test/fixtures/github/v1/${name}.json`, import.meta.url));

async function deliver(secret: string, payload: unknown, headers: Record<string, string> = {}) {
  const body = Buffer.isBuffer(payload) ? payload : Buffer.from(JSON.stringify(payload));
  const signature = `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
  const response = await fleet.app.request("/v1/webhooks/github/greeter", {
    method: "POST",
    body: new Uint8Array(body),
    headers: {
      "x-github-event": "push",
      "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
      "x-hub-signature-256": signature,
      ...headers,
    },
  });
  return { status: response.status, answer: (await response.json()) as Record<string, unknown> };
}

test("queues the pushed commit, from the project's own remote, within a second", async () => {
  const secret = await secretOf();
  const startMs = performance.now();
  const { status, answer } = await deliver(secret, pushOf("a"));
  expect(performance.now() - startMs).toBeLessThan(1000);
  expect([status, answer["outcome"]]).toEqual([200, "queued"]);
  const build = await fleet.admin.builds.get(Number(answer["build"]));
  expect(build).toMatchObject({ commit: commitFor("a"), state: "QUEUED" });
  expect((await fleet.admin.projects.get("greeter")).remoteUrl).toBe("/srv/greeter");
});

test("refuses what isn't signed with one of the two newest secrets, and changes nothing", async () => {
  const first = await secretOf();
  const second = await secretOf();
  const refused = { status: 401, answer: { code: "webhook_signature_invalid" } };
  expect(await deliver("wrong", pushOf("a"))).toMatchObject(refused);
  expect(await deliver(second, pushOf("a"), { "x-hub-signature-256": "sha1=00" })).toMatchObject(
    refused,
  );
  expect((await fleet.admin.builds.list()).items).toEqual([]);
  expect((await deliver(first, pushOf("a"))).status).toBe(200);
  await secretOf();
  const later = { "x-github-delivery": "later" };
  expect(await deliver(first, pushOf("b"), later)).toMatchObject(refused);
  expect((await deliver(second, pushOf("b"), later)).status).toBe(200);
});

test("heeds a delivery once, however often and however many at once it comes", async () => {
  const secret = await secretOf();
  const answers = await Promise.all(Array.from({ length: 20 }, () => deliver(secret, pushOf("a"))));
  expect(new Set(answers.map(({ answer }) => answer["build"])).size).toBe(1);
  const again = await deliver(secret, pushOf("a"));
  expect(again.answer["outcome"]).toBe("known");
  expect((await fleet.admin.builds.list()).items.length).toBe(1);
});

test("ignores deleted branches, tags and other events, and refuses nonsense", async () => {
  const secret = await secretOf();
  const gone = pushOf("a", { deleted: true, after: "0".repeat(40) });
  const ignored = { status: 200, answer: { outcome: "ignored", build: null } };
  expect(await deliver(secret, gone, { "x-github-delivery": "1" })).toMatchObject(ignored);
  const tag = pushOf("a", { ref: "refs/tags/v1" });
  expect(await deliver(secret, tag, { "x-github-delivery": "2" })).toMatchObject(ignored);
  const ping = { "x-github-event": "ping", "x-github-delivery": "3" };
  expect(await deliver(secret, { zen: "x" }, ping)).toMatchObject(ignored);
  const bad = { status: 422, answer: { code: "invalid_input" } };
  expect(await deliver(secret, { ref: 1 }, { "x-github-delivery": "4" })).toMatchObject(bad);
  expect(
    await deliver(secret, pushOf("a", { after: "main" }), { "x-github-delivery": "5" }),
  ).toMatchObject(bad);
  expect((await fleet.admin.builds.list()).items).toEqual([]);
});

test("takes what GitHub sends as it is, and checks it as GitHub says", async () => {
  const secret = await secretOf();
  const ids = ["1", "2", "3", "4"].map((id) => ({ "x-github-delivery": id }));
  const queued = await deliver(secret, recorded("push"), ids[0]);
  expect(queued).toMatchObject({ status: 200, answer: { outcome: "queued" } });
  const build = await fleet.admin.builds.get(Number(queued.answer["build"]));
  expect(build.commit).toBe("4f1f0c1f6a4f0a52b7a3a2d9a1b3e7c5d9e8f701");
  const ignored = { status: 200, answer: { outcome: "ignored" } };
  expect(await deliver(secret, recorded("deleted"), ids[1])).toMatchObject(ignored);
  expect(await deliver(secret, recorded("tag"), ids[2])).toMatchObject(ignored);
  const ping = { ...ids[3], "x-github-event": "ping" };
  expect(await deliver(secret, recorded("ping"), ping)).toMatchObject(ignored);
  // The same push in other bytes isn't what was signed.
  const bytes = recorded("push");
  const signed = `sha256=${createHmac("sha256", secret).update(bytes).digest("hex")}`;
  const spaced = Buffer.concat([bytes, Buffer.from("\n")]);
  const headers = { "x-hub-signature-256": signed, "x-github-delivery": "5" };
  expect((await deliver(secret, spaced, headers)).status).toBe(401);
  expect((await fleet.admin.builds.list()).items.length).toBe(1);
  // The example of GitHub's documentation, "Validating webhook deliveries".
  await fleet.database`
    insert into webhook_secrets (project, secret) values ('greeter', 'It''s a Secret to Everybody')`;
  const example = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
  const hello = { ...ping, "x-github-delivery": "6", "x-hub-signature-256": `sha256=${example}` };
  expect(await deliver("", Buffer.from("Hello, World!"), hello)).toMatchObject(ignored);
});

test("stands a flood: every signed push is answered and built once, every other changes nothing", async () => {
  const secret = await secretOf();
  const floods = Array.from({ length: 300 }, async (_, index) => {
    const id = { "x-github-delivery": `flood-${index}` };
    // A third is signed wrongly, a third is the same commit.
    const isWrong = index % 3 === 0;
    const push = pushOf(index % 3 === 1 ? "same" : `c${index}`);
    const { status } = await deliver(isWrong ? "wrong" : secret, push, id);
    return status === (isWrong ? 401 : 200);
  });
  expect(await Promise.all(floods)).not.toContain(false);
  const [row] = await fleet.database<{ builds: number }[]>`
    select count(*)::int as builds from builds`;
  expect(row?.builds).toBe(101);
}, 30_000);
