// Environments: named sets of regions and hosts with goals and rules of their own; and what people may
// do in them.
import { z } from "zod";
import { count, instant, labels, millis, name } from "./names.ts";

const share = z.number().gt(0).max(1);
const waveSize = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("hosts"), hosts: z.int().min(1).max(1_000_000) }),
  z.strictObject({ type: z.literal("share"), share }),
]);

/** How carefully releases go out here; what is absent is as the control plane's configuration says. */
export const rolloutPolicyInput = z.strictObject({
  waves: z.array(waveSize).min(1).max(16).optional(),
  maxUnavailable: waveSize.optional(),
  regions: z.enum(["together", "sequence"]).optional(),
  regionOrder: z.array(name).max(64).optional(),
  regionBakeMs: millis.optional(),
  holdingShareMin: share.optional(),
  prepareMs: millis.min(1000).optional(),
  waveMs: millis.min(1000).optional(),
  bakeMs: millis.optional(),
  failedShareMax: z.number().min(0).max(1).optional(),
  silentShareMax: z.number().min(0).max(1).optional(),
  noDataMs: millis.min(1000).optional(),
});

const settings = {
  /** Null: every region in service. */
  regions: z.array(name).min(1).max(64).nullable(),
  /** Labels that a host must have, whatever a service's own selector says. */
  selector: labels,
  /** Only what went out to everybody there may be deployed here; null: any succeeded build. */
  promotesFrom: name.nullable(),
  /** Successful builds of this branch are deployed here by themselves; null: none is. */
  deploysBranch: z.string().min(1).max(255).nullable(),
  /** What was well for so long in `promotesFrom` is deployed here by itself; null: nothing is. */
  promotesAfterMs: millis.min(1000).nullable(),
  policy: rolloutPolicyInput,
  /** X25519 public key, base64url, that secrets are sealed for; null: there are none. */
  secretsKey: z
    .string()
    .regex(/^[A-Za-z0-9_-]{43}$/)
    .nullable(),
};

export const environmentInput = z.strictObject({
  name,
  regions: settings.regions.default(null),
  selector: settings.selector.default({}),
  promotesFrom: settings.promotesFrom.default(null),
  deploysBranch: settings.deploysBranch.default(null),
  promotesAfterMs: settings.promotesAfterMs.default(null),
  policy: settings.policy.default({}),
  secretsKey: settings.secretsKey.default(null),
});
/** What is absent stays as it is. */
export const environmentPatch = z.strictObject(settings).partial();
export const environment = environmentInput.extend({ services: count, createdAt: instant });

/** What a person may do: `read` is looking at everything, the others are by environment. */
export const permission = z.enum(["read", "build", "deploy", "rollback", "operate", "allow"]);
export const grantedPermission = z.strictObject({
  may: permission,
  /** Null: in every one. */
  environments: z.array(name).max(64).nullable().default(null),
});

export type Environment = z.infer<typeof environment>;
export type Permission = z.infer<typeof permission>;
export type GrantedPermission = z.infer<typeof grantedPermission>;
