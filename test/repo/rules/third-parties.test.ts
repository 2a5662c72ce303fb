import { expect, test } from "vitest";
import { complaints } from "./bad-example.ts";
import { thirdPartyOwners } from "./third-parties.ts";

test.for([
  ["seeder/src/a.ts", "@libp2p/tcp"],
  ["seeder/src/a.ts", "libp2p"],
  ["control-plane/src/routes/a.ts", "postgres"],
  ["cli/src/a.ts", "jose/jwt/sign"],
  ["lib/store/src/a.ts", "vitest"],
  ["core/src/a.ts", "zod"],
  ["core/src/a.ts", "multiformats/cid"],
  ["core/src/a.ts", "node:crypto"],
  ["core/src/a.ts", "node:fs"],
  ["builder/src/a.ts", "left-pad"],
] as const)("refuses that %s imports %s", ([path, specifier]) => {
  expect(complaints(thirdPartyOwners, { [path]: `import "${specifier}";` })).toHaveLength(1);
});

test.for([
  ["lib/peer/src/a.ts", "@libp2p/tcp"],
  ["control-plane/src/db/a.ts", "postgres"],
  ["control-plane/src/jobs/a.pg.test.ts", "postgres"],
  ["core/src/cid.ts", "multiformats/cid"],
  ["core/src/trust/keys.ts", "node:crypto"],
  ["core/src/a.test.ts", "node:fs"],
  ["core/src/a.test.ts", "vitest"],
] as const)("lets %s import %s", ([path, specifier]) => {
  expect(complaints(thirdPartyOwners, { [path]: `import "${specifier}";` })).toEqual([]);
});
