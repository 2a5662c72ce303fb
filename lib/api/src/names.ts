// Schemas of names, ids and small values that the whole contract shares. Objects are strict:
// an unknown key is an error, so that a misspelled option never goes unnoticed.
import { isArtifactCid, isCommit, isHostId, isName, isPeerId } from "@shoal/core/ids";
import { z } from "zod";

export const name = z.string().refine(isName, "must be a DNS label: a-z, 0-9 and -, at most 63");
export const hostId = z
  .string()
  .refine(isHostId, "must be a host id: letters, digits, . _ -, at most 128");
export const commit = z
  .string()
  .refine(isCommit, "must be a full commit id of 40 or 64 hexadecimal digits");
export const artifactCid = z.string().refine(isArtifactCid, "must be an artifact CID");
export const peerId = z.string().refine(isPeerId, "must be an Ed25519 peer id (12D3KooW…)");
export const releaseId = z.string().regex(/^rel-[0-9a-f]{32}$/);
/** Builds, rollouts: counted from 1 by the database. */
export const rowId = z.int().positive();
export const count = z.int().nonnegative();
export const bytes = z.int().nonnegative();
export const millis = z.int().nonnegative();
/** RFC 3339 in UTC. */
export const instant = z.iso.datetime();
export const labels = z.record(
  z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/),
  z.string().max(128),
);
export const httpUrl = z.url({ protocol: /^https?$/ }).max(2048);
/** Opaque: what a list answered as `nextCursor`. */
export const cursor = z.string().max(512);
export const multiaddr = z.string().max(256).startsWith("/");

/** A DSSE envelope as JSON; signatures are checked by lib/trust, not here. */
export const envelope = z.strictObject({
  payloadType: z.string().max(128),
  payload: z.base64(),
  signatures: z
    .array(z.strictObject({ keyid: z.string().max(128), sig: z.base64() }))
    .min(1)
    .max(8)
    .readonly(),
});
export type Envelope = z.infer<typeof envelope>;

/** One page of a list. */
export function page<Item extends z.ZodType>(
  item: Item,
): z.ZodObject<
  { items: z.ZodArray<Item>; nextCursor: z.ZodNullable<z.ZodString> },
  z.core.$strict
> {
  return z.strictObject({ items: z.array(item), nextCursor: cursor.nullable() });
}
