// What a reader believes in, as it travels beside the goals: trust documents and revocations, all of
// them signed. Who carries them can withhold them and not change them.
import { revocationListsMax, trustChainMax } from "@shoal/core/limits";
import { z } from "zod";
import { envelope, peerId } from "./names.ts";

/** Trust documents in the order of their versions: those that changed the roots, and the newest last. */
export const trustDocuments = z.array(envelope).min(1).max(trustChainMax).readonly();

export const trustState = z.strictObject({
  documents: trustDocuments,
  /** The newest list first; older ones only while they name somebody whom it has lost. */
  revocations: z.array(envelope).max(revocationListsMax).readonly(),
});
export type TrustState = z.infer<typeof trustState>;

/** Changes with anything in a trust state. */
export const trustEdition = z.string().max(64);

export const trustInput = z.strictObject({ documents: trustDocuments });
export const trustAnswer = z.strictObject({
  version: z.int(),
  expires: z.string(),
  documents: trustDocuments,
});
export const revocationInput = z.strictObject({ peerId });
export const revocation = z.strictObject({ peerId, revokedAt: z.string(), until: z.string() });
