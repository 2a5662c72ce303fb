// Keys and trust document in a folder as `shoal keys create` makes it, or as an operator laid it out.
import { ShoalError } from "@shoal/core/error";
import { hourMs } from "@shoal/core/units";
import { readKey } from "@shoal/trust/key-file";
import { readTrustFile } from "@shoal/trust/trust-file";
import { join } from "node:path";
import { fine, warning, wrong, type Finding } from "./finding.ts";
import type { Machine } from "./machine.ts";

/** A document that ends sooner is told of: replacing it on a whole fleet takes time. */
const renewBeforeMs = 30 * 24 * hourMs;
const rootKeyName = "root.jwk";

/** Every `*.jwk` of the folder, and `trust.json` against `rootPublicKey` or the root key beside it. */
export async function checkKeys(
  machine: Pick<Machine, "list" | "look" | "now">,
  dir: string,
  rootPublicKey: string | undefined,
): Promise<readonly Finding[]> {
  const names = await machine.list(dir);
  if (names === null) return [wrong("keys", `${dir} can't be listed`, `shoal keys create ${dir}`)];
  const keys = names.filter((name) => name.endsWith(".jwk")).toSorted();
  if (keys.length === 0)
    return [wrong("keys", `no keys are in ${dir}`, `shoal keys create ${dir}`)];
  const findings: Finding[] = [];
  const folder = await machine.look(dir);
  if (folder !== null && (folder.mode & 0o022) !== 0)
    findings.push(wrong("keys", `others may change what is in ${dir}`, `chmod 700 ${dir}`));
  let root = rootPublicKey;
  for (const name of keys) {
    const { finding, publicKey } = await checkKey(join(dir, name));
    findings.push(finding);
    if (name === rootKeyName) root ??= publicKey;
  }
  if (names.includes(rootKeyName)) findings.push(rootIsHere(join(dir, rootKeyName)));
  findings.push(await checkTrust(machine.now(), join(dir, "trust.json"), root));
  return findings;
}

async function checkKey(
  path: string,
): Promise<{ readonly finding: Finding; readonly publicKey?: string }> {
  try {
    const { publicKey, keyId } = await readKey(path);
    return {
      finding: fine("keys", `${path} is key ${keyId}`),
      publicKey: publicKey.toBase64({ alphabet: "base64url", omitPadding: true }),
    };
  } catch (error) {
    return { finding: fromError("keys", error, `restore ${path} from its backup`) };
  }
}

function rootIsHere(path: string): Finding {
  return warning(
    "keys",
    `the root key lies on this machine: who takes it can trust any key`,
    `move ${path} to a machine that runs nothing else, and keep it offline`,
  );
}

async function checkTrust(
  nowMs: number,
  path: string,
  rootPublicKey: string | undefined,
): Promise<Finding> {
  if (rootPublicKey === undefined)
    return warning(
      "trust document",
      "not verified: no root key is known",
      "give --root-public-key",
    );
  try {
    const { version, expires } = await readTrustFile(path, rootPublicKey, nowMs);
    const says = `version ${version}, good until ${expires}`;
    return Date.parse(expires) - nowMs < renewBeforeMs
      ? warning(
          "trust document",
          says,
          "sign a newer one with the root key and lay it on every machine",
        )
      : fine("trust document", says);
  } catch (error) {
    return fromError("trust document", error, "sign one with the root key, and lay it there");
  }
}

function fromError(check: string, error: unknown, fix: string): Finding {
  return error instanceof ShoalError
    ? wrong(check, `${error.message} (${error.code})`, error.hint ?? fix)
    : wrong(check, String(error), fix);
}
