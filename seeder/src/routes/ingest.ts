// What a builder pushes under its lease's grant: chunks that are missing, the manifest, the statement.
import { envelope } from "@shoal/api/names";
import { ChunkFrameDecoder } from "@shoal/core/content/chunk-frames";
import { ShoalError } from "@shoal/core/error";
import { chunkBatchBytesMax, envelopeBytesMax, manifestBytesMax } from "@shoal/core/limits";
import type { Grant } from "@shoal/trust/grant";
import { freeBytes } from "@shoal/store/free-bytes";
import { verifyStatement } from "@shoal/trust/statement";
import { Hono } from "hono";
import type { SeederDeps } from "../app.ts";
import { eachHash } from "../region/hash-list.ts";
import { bodyParts, readBody, readCid, readHashes, readJson } from "./bodies.ts";
import type { SeederEnv } from "./callers.ts";

type IngestGrant = Extract<Grant, { readonly scope: "ingest" }>;

export function ingestRoutes(deps: SeederDeps): Hono<SeederEnv> {
  const { callers, store, uploads, leases, now, trust } = deps;
  const routes = new Hono<SeederEnv>();

  routes.post("/missing", async (context) => {
    const grant = await callers.grant(context, "ingest");
    await leases.require(grant);
    const hashes = await readHashes(context);
    const missing = [...eachHash(hashes)].filter((hash) => !isClaimable(deps, grant, hash));
    return context.body(new Uint8Array(Buffer.concat(missing)), 200, {
      "content-type": "application/octet-stream",
    });
  });

  /** A builder sends a few at once, each of neighbouring chunks. */
  let batches = 0;
  routes.post("/chunks", async (context) => {
    const grant = await callers.grant(context, "ingest");
    await leases.require(grant);
    const decoder = new ChunkFrameDecoder();
    batches += 1;
    const batch = batches;
    let received = 0;
    let stored = 0;
    for await (const part of bodyParts(context)) {
      received += part.length;
      if (received > chunkBatchBytesMax)
        throw new ShoalError("body_too_large", "Too many chunks in one request.", {
          blame: "remote",
        });
      decoder.push(part);
      for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
        await store.chunks.put(frame.hash, frame.bytes, { order: batch, isGiven: true });
        freeBytes(frame.bytes);
        uploads.add(leaseOf(grant), frame.hash, now());
        stored += 1;
      }
    }
    decoder.finish();
    return context.json({ stored });
  });

  routes.put("/artifacts/:cid/manifest", async (context) => {
    const grant = await callers.grant(context, "ingest");
    await leases.require(grant);
    const bytes = await readBody(context, manifestBytesMax);
    await store.putManifest(readCid(context), bytes, (hash) => isClaimable(deps, grant, hash));
    return context.body(null, 204);
  });

  routes.put("/artifacts/:cid/statement", async (context) => {
    const grant = await callers.grant(context, "ingest");
    await leases.require(grant, true);
    const cid = readCid(context);
    const statement = await readJson(context, envelope, envelopeBytesMax);
    verifyStatement(statement, trust.document(), {
      nowMs: now(),
      project: grant.project,
      artifact: cid,
    });
    await store.hold(cid, grant.project, statement);
    uploads.end(leaseOf(grant));
    deps.changes.held();
    return context.body(null, 204);
  });

  return routes;
}

function isClaimable(
  { store, uploads }: SeederDeps,
  grant: IngestGrant,
  hash: Uint8Array,
): boolean {
  return (
    store.projectHas(grant.project, hash) ||
    (uploads.has(leaseOf(grant), hash) && store.chunks.has(hash))
  );
}

function leaseOf(grant: IngestGrant): string {
  return `${grant.build} ${grant.fence}`;
}
