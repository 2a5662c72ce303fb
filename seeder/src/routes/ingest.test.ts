// Publishing to a seeder over real HTTPS, as a builder does it and as one shouldn't.
import { createKey } from "@shoal/trust/key-file";
import type { SeederClient } from "@shoal/api/seeder-client";
import { encodeChunkFrame } from "@shoal/core/content/chunk-frames";
import { digest } from "@shoal/core/digest";
import { ShoalError } from "@shoal/core/error";
import { envelopeBytesMax } from "@shoal/core/limits";
import { MemoryBlobs } from "@shoal/store/memory-blobs";
import { createPinnedFetch } from "@shoal/trust/pinned-fetch";
import { afterEach, describe, expect, test } from "vitest";
import { makeArtifact, TestFleet } from "../fleet.test-kit.ts";
import {
  codeOf,
  publish,
  startTestSeeder,
  stopAll,
  type Stops,
  type TestSeeder,
} from "../seeder.test-kit.ts";

const stops: Stops = [];
afterEach(() => stopAll(stops));
const fleet = new TestFleet();

async function startWithBuilder(): Promise<{ seeder: TestSeeder; builder: SeederClient }> {
  const seeder = await startTestSeeder({ fleet, stops });
  return { seeder, builder: await seeder.client(await fleet.ingestGrant()) };
}

async function collect(client: SeederClient, cid: string, hashes: Uint8Array): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const { bytes } of client.getChunks(cid, hashes)) parts.push(bytes);
  return Buffer.concat(parts);
}

describe("publishing", () => {
  test("gives other regions back what a builder pushed", async () => {
    const { seeder, builder } = await startWithBuilder();
    const artifact = makeArtifact(1, 60, 20_000);
    expect(await publish(builder, fleet, artifact)).toEqual({ sent: 60 });

    const puller = await seeder.client(await fleet.grant({ scope: "pull", regions: ["north"] }));
    expect(Buffer.from(await puller.getManifest(artifact.cid))).toEqual(
      Buffer.from(artifact.manifestBytes),
    );
    expect(await puller.getStatement(artifact.cid)).toMatchObject({ payloadType: /in-toto/ });
    expect(await collect(puller, artifact.cid, artifact.hashes)).toEqual(
      Buffer.concat(artifact.frames.map(({ bytes }) => bytes)),
    );
  });

  test("asks only for what the project's artifacts don't have", async () => {
    const { builder } = await startWithBuilder();
    await publish(builder, fleet, makeArtifact(1, 20));
    expect(await publish(builder, fleet, makeArtifact(3, 20))).toEqual({ sent: 2 });
  });

  test("may be repeated from the start at any point", async () => {
    const { seeder, builder } = await startWithBuilder();
    const artifact = makeArtifact(1, 3);
    await publish(builder, fleet, artifact);
    expect(await publish(builder, fleet, artifact)).toEqual({ sent: 0 });
    await builder.putChunks(artifact.frames);
    expect(seeder.deps.store.held().map(({ cid }) => cid)).toEqual([artifact.cid]);
  });

  test("takes a newer statement about an artifact that is held", async () => {
    const { seeder, builder } = await startWithBuilder();
    const artifact = makeArtifact(1, 3);
    await publish(builder, fleet, artifact);
    const newer = { ...fleet.statement(artifact.cid) };
    await builder.putStatement(artifact.cid, newer);
    expect(seeder.deps.store.get(artifact.cid)?.statement).toEqual(newer);
  });
});

describe("a seeder refuses", () => {
  test("bytes that aren't the chunk they are said to be, and says so", async () => {
    const { seeder, builder } = await startWithBuilder();
    const { frames } = makeArtifact(1, 40, 50_000);
    const wrong = frames.map((frame, index) =>
      index === 2 ? { hash: frame.hash, bytes: new Uint8Array(50_000) } : frame,
    );
    expect(await codeOf(builder.putChunks(wrong))).toBe("chunk_mismatch");
    expect(seeder.deps.store.chunks.has(wrong[2]?.hash ?? new Uint8Array(32))).toBe(false);
  });

  test("a body that ends inside a frame", async () => {
    const seeder = await startTestSeeder({ fleet, stops });
    const fetch = createPinnedFetch({ peerId: seeder.key.peerId });
    stops.push(() => fetch.close());
    const [frame] = makeArtifact(1, 1).frames;
    const whole = encodeChunkFrame(frame?.hash ?? digest(new Uint8Array(0)), new Uint8Array(10));
    const answer = await fetch(`${seeder.url}/v1/ingest/chunks`, {
      method: "POST",
      headers: { authorization: `Bearer ${await fleet.ingestGrant()}` },
      body: whole.slice(0, -1),
    });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ code: "chunk_frame_invalid", retryable: false });
  });

  test("a manifest whose chunks haven't all arrived", async () => {
    const { builder } = await startWithBuilder();
    const artifact = makeArtifact(1, 3);
    await builder.putChunks(artifact.frames.slice(1));
    const put = builder.putManifest(artifact.cid, artifact.manifestBytes);
    expect(await codeOf(put)).toBe("chunks_missing");
  });

  test("a manifest under another name, and bytes that are none", async () => {
    const { builder } = await startWithBuilder();
    const artifact = makeArtifact(1, 1);
    await builder.putChunks(artifact.frames);
    const other = makeArtifact(2, 1).cid;
    expect(await codeOf(builder.putManifest(other, artifact.manifestBytes))).toBe(
      "manifest_mismatch",
    );
    expect(await codeOf(builder.putManifest(other, digest(new Uint8Array(1))))).toBe(
      "manifest_invalid",
    );
  });

  test("a statement before the manifest", async () => {
    const { seeder, builder } = await startWithBuilder();
    const { cid, frames } = makeArtifact(1, 1);
    await builder.putChunks(frames);
    expect(await codeOf(builder.putStatement(cid, fleet.statement(cid)))).toBe("chunks_missing");
    expect(await seeder.deps.store.unfinished()).toEqual([]);
  });

  test.for([
    ["about another project", "statement_project_wrong", "api"],
    ["about another artifact", "statement_subject_wrong", "other"],
    ["by a key that may sign for other projects", "key_not_allowed", "foreign"],
    ["by a key that nobody listed", "signature_key_unknown", "stranger"],
    ["whose signature is another one's", "signature_invalid", "forged"],
  ] as const)("a statement %s", async ([, code, kind]) => {
    const { seeder, builder } = await startWithBuilder();
    const artifact = makeArtifact(1, 1);
    const { cid } = artifact;
    await builder.putChunks(artifact.frames);
    await builder.putManifest(cid, artifact.manifestBytes);
    const statement = {
      api: () => fleet.statement(cid, "api"),
      other: () => fleet.statement(makeArtifact(2, 1).cid),
      foreign: () => fleet.statement(cid, "web", fleet.apiBuilder),
      stranger: () => fleet.statement(cid, "web", createKey()),
      forged: () => ({
        ...fleet.statement(cid),
        signatures: fleet.statement(makeArtifact(2, 1).cid).signatures,
      }),
    }[kind]();
    expect(await codeOf(builder.putStatement(cid, statement))).toBe(code);
    expect(seeder.deps.store.get(cid)).toBeUndefined();
  });

  test("an envelope beyond the limit", async () => {
    const { builder } = await startWithBuilder();
    const { cid } = makeArtifact(1, 1);
    const large = { ...fleet.statement(cid), payload: "A".repeat(envelopeBytesMax) };
    expect(await codeOf(builder.putStatement(cid, large))).toBe("body_too_large");
  });

  test("a grant for another region, for another call, out of time, or none", async () => {
    const { seeder, builder } = await startWithBuilder();
    const { hashes } = makeArtifact(1, 1);
    const ask = async (token: string): Promise<string> =>
      codeOf((await seeder.client(token)).missing(hashes));
    expect(await ask(await fleet.ingestGrant("web", "south"))).toBe("grant_region_wrong");
    expect(await ask(await fleet.grant({ scope: "pull", regions: ["north"] }))).toBe(
      "grant_scope_wrong",
    );
    expect(await ask("nonsense")).toBe("grant_invalid");
    seeder.clock.nowMs += 20 * 60_000;
    expect(await codeOf(builder.missing(hashes))).toBe("grant_expired");
  });

  test("to take from an ingest grant what a pull grant is for", async () => {
    const { builder } = await startWithBuilder();
    const artifact = makeArtifact(1, 1);
    await publish(builder, fleet, artifact);
    expect(await codeOf(builder.getManifest(artifact.cid))).toBe("grant_scope_wrong");
  });

  test("hashes for which nobody sent bytes, though another project has them", async () => {
    const { seeder, builder } = await startWithBuilder();
    const artifact = makeArtifact(1, 3);
    await publish(builder, fleet, artifact);

    const api = await seeder.client(await fleet.ingestGrant("api"));
    expect(await api.missing(artifact.hashes)).toHaveLength(artifact.hashes.length);
    expect(await codeOf(api.putManifest(artifact.cid, artifact.manifestBytes))).toBe(
      "chunks_missing",
    );
    // Chunks that another lease of the same project sent don't count either.
    const web = await seeder.client(await fleet.ingestGrant("web", "north", "2"));
    const second = makeArtifact(100, 2);
    await builder.putChunks(second.frames);
    expect(await web.missing(second.hashes)).toHaveLength(second.hashes.length);
  });

  test("what a builder pushes that has lost the build's lease, at each step", async () => {
    let alive = true;
    const checkLease = async (): Promise<void> => {
      if (!alive) throw new ShoalError("fence_stale", "stale", { blame: "remote" });
    };
    const seeder = await startTestSeeder({ fleet, stops, checkLease });
    const builder = await seeder.client(await fleet.ingestGrant());
    const artifact = makeArtifact(1, 3);
    await builder.putChunks(artifact.frames);
    await builder.putManifest(artifact.cid, artifact.manifestBytes);
    alive = false;
    const end = builder.putStatement(artifact.cid, fleet.statement(artifact.cid, "web"));
    expect(await codeOf(end)).toBe("fence_stale");
    expect(seeder.deps.store.held()).toEqual([]);
    // A newer lease was seen here: the older one is refused without asking.
    alive = true;
    const newer = await seeder.client(await fleet.ingestGrant("web", "north", "7"));
    await newer.missing(artifact.hashes);
    expect(await codeOf(builder.putChunks(artifact.frames))).toBe("fence_stale");
  });

  test("one artifact for two projects, because one statement travels with it", async () => {
    const { seeder, builder } = await startWithBuilder();
    const artifact = makeArtifact(1, 3);
    await publish(builder, fleet, artifact);
    const api = await seeder.client(await fleet.ingestGrant("api"));
    expect(await codeOf(publish(api, fleet, artifact, "api"))).toBe("artifact_project_conflict");
  });
});

test("a crash at any write leaves an artifact held and whole, or not held", async () => {
  const artifact = makeArtifact(1, 4);
  let heldCount = 0;
  for (let writes = 0; writes < 6; writes += 1) {
    const disk = new MemoryBlobs();
    const failing = new Proxy(disk, {
      get: (target, name) => {
        if (name !== "put") return Reflect.get(target, name).bind?.(target);
        return (...given: Parameters<MemoryBlobs["put"]>) => {
          if (left-- > 0) return target.put(...given);
          throw new Error("the power is gone");
        };
      },
    });
    let left = writes;
    const seeder = await startTestSeeder({ fleet, stops, blobs: failing });
    const builder = await seeder.client(await fleet.ingestGrant());
    await publish(builder, fleet, artifact).catch(() => undefined);
    await seeder.stop();

    const again = await startTestSeeder({ fleet, stops, blobs: disk });
    const { store } = again.deps;
    const held = store.get(artifact.cid);
    if (held !== undefined) heldCount += 1;
    const missing = store.chunks.missing(artifact.hashes);
    if (held !== undefined) expect(missing).toHaveLength(0);
    // Whatever was left behind, the next try goes through.
    await publish(await again.client(await fleet.ingestGrant()), fleet, artifact);
    expect(store.get(artifact.cid)).toBeDefined();
  }
  // A pack, manifest, statement and record: held from the fourth write on, never before.
  expect(heldCount).toBe(2);
});
