// A push that a git host tells of, as GitHub does. Only the signature makes it count, over the bytes as
// they came; from the payload come the commit and whether the branch is gone, never where to fetch
// from: that is the project's own setting. A repeated delivery does nothing.
import { createHmac } from "node:crypto";
import { commit } from "@shoal/api/names";
import { ShoalError, remoteError } from "@shoal/core/error";
import { z } from "zod";
import { findDelivery, noteDelivery, webhookSecrets } from "../db/webhooks.ts";
import { type BuildRequestDeps, startBuild } from "./build-requests.ts";
import { hashEquals } from "./secrets.ts";

export interface PushDelivery {
  readonly event: string | undefined;
  readonly delivery: string | undefined;
  /** `sha256=` and hexadecimal digits. */
  readonly signature: string | undefined;
  readonly bytes: Uint8Array;
}

export interface PushAnswer {
  readonly outcome: "queued" | "known" | "ignored";
  readonly build: number | null;
}

/** The part of a push that is believed; hosts send a lot more. */
const push = z.object({
  ref: z.string().max(4096),
  after: z.string().max(128),
  deleted: z.boolean().optional(),
});

const deliveryPattern = /^[A-Za-z0-9._-]{1,128}$/;

/** Throws `webhook_signature_invalid`, also for projects that don't exist or have no secret. */
export async function takePush(
  deps: BuildRequestDeps,
  project: string,
  call: PushDelivery,
): Promise<PushAnswer> {
  const { database } = deps;
  if (!isSigned(call, await webhookSecrets(database, project))) {
    throw new ShoalError("webhook_signature_invalid", "The delivery isn't signed as it must be.", {
      blame: "remote",
      hint: "Give the git host the newest secret of POST /v1/projects/:project/webhook-secrets.",
    });
  }
  const { delivery } = call;
  if (delivery === undefined || !deliveryPattern.test(delivery)) {
    throw remoteError("invalid_input", "X-GitHub-Delivery is missing, or isn't an id.");
  }
  const before = await findDelivery(database, project, delivery);
  if (before !== undefined) return { outcome: "known", build: before };
  const wanted = call.event === "push" ? headOf(call.bytes) : null;
  if (wanted === null) {
    await noteDelivery(database, project, delivery, null);
    return { outcome: "ignored", build: null };
  }
  // Noted afterwards: a kill between the two lets the host's repetition find the same build.
  const { build } = await startBuild(deps, { project, ...wanted, priority: 0, force: false });
  await noteDelivery(database, project, delivery, build.id);
  return { outcome: "queued", build: build.id };
}

function isSigned({ signature, bytes }: PushDelivery, secrets: readonly string[]): boolean {
  const match = /^sha256=([0-9a-f]{64})$/.exec(signature ?? "");
  const given = Buffer.from(match?.[1] ?? "", "hex");
  // Every secret is looked at, so that the time tells nothing about which one fits.
  const fits = secrets.map((secret) =>
    hashEquals(createHmac("sha256", secret).update(bytes).digest(), given),
  );
  return fits.includes(true);
}

/** A branch and the commit that it now ends with; null for tags and for branches that are gone. */
function headOf(
  bytes: Uint8Array,
): { readonly commit: string; readonly branch: string | null } | null {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw remoteError("invalid_input", "The push isn't JSON.");
  }
  const parsed = push.safeParse(json);
  if (!parsed.success) throw remoteError("invalid_input", "The push isn't one.");
  const { ref, after, deleted } = parsed.data;
  if (deleted === true || !ref.startsWith("refs/heads/") || /^0+$/.test(after)) return null;
  if (!commit.safeParse(after).success) {
    throw remoteError("invalid_input", "The push doesn't end with a full commit id.");
  }
  const branch = ref.slice("refs/heads/".length);
  // A name that is longer than any rule of an environment can be is no branch of one.
  return { commit: after, branch: branch.length <= 255 ? branch : null };
}
