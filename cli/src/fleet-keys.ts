// A fleet's keys, made once: an offline root, one key for the control plane, one for builders, and the
// trust document that says what each may sign. The root key belongs on a machine that runs nothing else.
import { loadOrCreateKey, type KeyFile } from "@shoal/trust/key-file";
import { signTrustDocument, trustKeyOf } from "@shoal/trust/trust-document";
import { readTrustChain } from "@shoal/trust/trust-file";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { prolongTrust } from "./trust-folder.ts";

const yearMs = 365 * 24 * 3_600_000;

export interface FleetKeys {
  readonly rootKeyFile: string;
  /** Base64url of the raw root public key: what every process pins. */
  readonly rootPublicKey: string;
  /** Has the same, for machines that get it as a file. */
  readonly rootPublicKeyFile: string;
  readonly trustFile: string;
  readonly controlPlaneKeyFile: string;
  readonly builderKeyFile: string;
}

/** Makes keys and trust document in `dir`; where they are there already, the document is prolonged. */
export async function makeFleetKeys(dir: string): Promise<FleetKeys> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const path = (name: string): string => join(dir, name);
  const root = await loadOrCreateKey(path("root.jwk"));
  const controlPlane = await loadOrCreateKey(path("control-plane.jwk"));
  const builder = await loadOrCreateKey(path("builder.jwk"));
  const trustFile = path("trust.json");
  const known = await readTrustChain(trustFile).catch(() => null);
  if (known !== null) await prolongTrust(dir, Date.now());
  else await writeFile(trustFile, `${JSON.stringify(signTrust(root, controlPlane, builder))}\n`);
  const rootPublicKey = root.publicKey.toBase64({ alphabet: "base64url", omitPadding: true });
  const rootPublicKeyFile = path("root-public-key");
  await writeFile(rootPublicKeyFile, `${rootPublicKey}\n`);
  return {
    rootKeyFile: path("root.jwk"),
    rootPublicKey,
    rootPublicKeyFile,
    trustFile,
    controlPlaneKeyFile: path("control-plane.jwk"),
    builderKeyFile: path("builder.jwk"),
  };
}

function signTrust(
  root: KeyFile,
  controlPlane: KeyFile,
  builder: KeyFile,
): ReturnType<typeof signTrustDocument> {
  const nowMs = Date.now();
  const until = new Date(nowMs + yearMs).toISOString();
  return signTrustDocument(root, {
    format: "shoal.trust/v1",
    version: 1,
    issuedAt: new Date(nowMs).toISOString(),
    expires: until,
    keys: [trustKeyOf(controlPlane.publicKey, until), trustKeyOf(builder.publicKey, until)],
    statements: [{ key: builder.keyId, projects: "*" }],
    goals: [{ key: controlPlane.keyId, environments: "*" }],
    passports: [{ key: controlPlane.keyId, regions: "*" }],
    grants: [{ key: controlPlane.keyId, regions: "*" }],
  });
}
