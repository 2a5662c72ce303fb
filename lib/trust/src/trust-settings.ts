// What every process that checks signatures is told about whom to believe.
import { z } from "zod";

/** Part of the configuration of a process that believes a trust document. */
export const trustSettings = {
  trustFile: z.string().min(1).describe("trust document, signed by the root key"),
  rootPublicKey: z
    .base64url()
    .length(43)
    .describe("raw public root key that signs the trust document"),
};
