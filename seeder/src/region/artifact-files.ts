// Manifests, statements and the record "this region holds it" of artifacts, as objects of a blob
// store. The record is written last and deleted first: what has one is whole.
import { artifactCid, envelope, name, type Envelope } from "@shoal/api/names";
import { ShoalError } from "@shoal/core/error";
import type { ArtifactCid } from "@shoal/core/ids";
import { listAll, type BlobStore } from "@shoal/store/blob-store";
import { z } from "zod";

const heldRecord = z.strictObject({ format: z.literal("shoal.held/v1"), project: name });

export interface HeldRecord {
  readonly cid: ArtifactCid;
  readonly project: string;
}

export class ArtifactFiles {
  readonly #blobs: BlobStore;

  constructor(blobs: BlobStore) {
    this.#blobs = blobs;
  }

  async putManifest(cid: ArtifactCid, bytes: Uint8Array): Promise<void> {
    await this.#blobs.put(key("manifest", cid), [bytes]);
  }

  async putStatement(cid: ArtifactCid, statement: Envelope): Promise<void> {
    await this.#blobs.put(key("statement", cid), [encode(statement)]);
  }

  async putHeld(cid: ArtifactCid, project: string): Promise<void> {
    await this.#blobs.put(key("held", cid), [encode({ format: "shoal.held/v1", project })]);
  }

  /** The manifest's bytes, or undefined. */
  manifest(cid: ArtifactCid): Promise<Uint8Array | undefined> {
    return this.#get(key("manifest", cid));
  }

  /** The statement, or undefined; one that can't be read counts as none. */
  async statement(cid: ArtifactCid): Promise<Envelope | undefined> {
    const bytes = await this.#get(key("statement", cid));
    const statement = envelope.safeParse(bytes === undefined ? undefined : decode(bytes));
    return statement.success ? statement.data : undefined;
  }

  /** Every artifact with a record. A record that can't be read counts as none: it is pulled again. */
  async held(): Promise<readonly HeldRecord[]> {
    const records: HeldRecord[] = [];
    for await (const { key: blobKey } of listAll(this.#blobs, "held/")) {
      const cid = artifactCid.safeParse(blobKey.slice("held/".length));
      const bytes = await this.#get(blobKey);
      const record = heldRecord.safeParse(bytes === undefined ? undefined : decode(bytes));
      if (cid.success && record.success)
        records.push({ cid: cid.data, project: record.data.project });
    }
    return records;
  }

  /** Every artifact of which there is a manifest or a statement, held or not. */
  async all(): Promise<ReadonlySet<ArtifactCid>> {
    const cids = new Set<ArtifactCid>();
    for (const kind of ["manifest", "statement"]) {
      for await (const { key: blobKey } of listAll(this.#blobs, `${kind}/`)) {
        const cid = artifactCid.safeParse(blobKey.slice(kind.length + 1));
        if (cid.success) cids.add(cid.data);
      }
    }
    return cids;
  }

  async delete(cid: ArtifactCid): Promise<void> {
    for (const kind of ["held", "statement", "manifest"]) await this.#blobs.delete(key(kind, cid));
  }

  async #get(blobKey: string): Promise<Uint8Array | undefined> {
    try {
      return await this.#blobs.get(blobKey);
    } catch (error) {
      if (error instanceof ShoalError && error.code === "blob_missing") return undefined;
      throw error;
    }
  }
}

function key(kind: string, cid: ArtifactCid): string {
  return `${kind}/${cid}`;
}

function encode(document: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(document));
}

function decode(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
