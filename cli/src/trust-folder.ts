// A folder on the machine that has the root key: `root.jwk`, `trust.json`, `root-public-key` and the keys
// that the document names. Each change makes the next version of the document, signed with the root;
// nothing that runs hears of it before it is published.
import type { Envelope } from "@shoal/api/names";
import { ShoalError } from "@shoal/core/error";
import { decodeBase64Url } from "@shoal/core/trust/base64";
import { hourMs } from "@shoal/core/units";
import { writeFileAtomic } from "@shoal/daemon/atomic-file";
import { createKey, loadOrCreateKey, readKey, writeKey, type KeyFile } from "@shoal/trust/key-file";
import { followChain, type KnownTrust } from "@shoal/trust/trust-chain";
import {
  signTrustDocument,
  trustDocument,
  trustKeyOf,
  type TrustDocument,
} from "@shoal/trust/trust-document";
import { readTrustChain } from "@shoal/trust/trust-file";
import { mkdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";

const yearMs = 365 * 24 * hourMs;
/** A key that ends sooner is on its way out. */
const prolongBeyondMs = 30 * 24 * hourMs;
const uses = ["statements", "goals", "passports", "grants"] as const;
export type TrustUse = (typeof uses)[number];

export function isTrustUse(text: string): text is TrustUse {
  return uses.some((use) => use === text);
}

/** Makes a root key and a document that trusts nobody yet. Throws `already_exists` over another one. */
export async function initTrust(dir: string, nowMs: number): Promise<TrustDocument> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const root = await loadOrCreateKey(join(dir, "root.jwk"));
  if ((await readTrustChain(join(dir, "trust.json")).catch(() => null)) !== null) {
    throw new ShoalError("already_exists", `${dir} has a trust document already.`, {
      blame: "local",
      hint: "Change it with `shoal trust rotate` or `shoal trust sign`.",
    });
  }
  const document: TrustDocument = {
    format: "shoal.trust/v1",
    version: 1,
    issuedAt: new Date(nowMs).toISOString(),
    expires: new Date(nowMs + yearMs).toISOString(),
    keys: [],
    statements: [],
    goals: [],
    passports: [],
    grants: [],
  };
  await writeChain(dir, [signTrustDocument(root, document)]);
  await writeRootText(dir, root);
  return document;
}

/** The newest document of a folder or file, by the root key of the folder or the one given. */
export async function showTrust(dir: string, rootPublicKey?: string): Promise<KnownTrust> {
  const pinned =
    rootPublicKey ?? (await readFile(join(dir, "root-public-key"), "utf8").catch(() => undefined));
  if (pinned === undefined) {
    throw new ShoalError("key_file_missing", `There is no root-public-key in ${dir}.`, {
      blame: "local",
      hint: "Give --root-public-key.",
    });
  }
  const chain = await readTrustChain(join(dir, "trust.json"));
  return followChain({ pinned: decodeBase64Url(pinned.trim()) }, chain);
}

/** Signs a document that a person has written or changed, as the next version. */
export async function signTrust(dir: string, text: string, nowMs: number): Promise<TrustDocument> {
  const { root, known } = await openFolder(dir);
  const parsed = trustDocument.safeParse(JSON.parse(text));
  if (!parsed.success) {
    const message = parsed.error.issues[0]?.message ?? "not a trust document";
    throw new ShoalError("trust_document_invalid", message, { blame: "local" });
  }
  return writeNext(dir, known, [root], nowMs, { ...parsed.data, roots: undefined });
}

/** Signs what is there again, for another year, keys that are still good included. */
export async function prolongTrust(dir: string, nowMs: number): Promise<TrustDocument> {
  const { root, known } = await openFolder(dir);
  const end = new Date(nowMs + yearMs).toISOString();
  const keys = known.document.keys.map((key) =>
    Date.parse(key.notAfter) > nowMs + prolongBeyondMs ? { ...key, notAfter: end } : key,
  );
  return writeNext(dir, known, [root], nowMs, { ...known.document, keys, roots: undefined });
}

export interface RotateOptions {
  /** Of the old key's rules, those that the new key gets; all when absent. */
  readonly use: TrustUse | undefined;
  /** From then on the old key's signatures are refused; as before when absent. */
  readonly overlapMs: number | undefined;
}

export interface Rotated {
  readonly document: TrustDocument;
  /** To be put in the place of the old key once the document is published. */
  readonly keyFile: string;
  readonly keyId: string;
}

/** Makes `<name>.next.jwk` beside `<name>.jwk`, and lets it sign what that one may. */
export async function rotateKey(
  dir: string,
  name: string,
  { use, overlapMs }: RotateOptions,
  nowMs: number,
): Promise<Rotated> {
  const { root, known } = await openFolder(dir);
  const old = await readKey(join(dir, `${name}.jwk`));
  const keyFile = join(dir, `${name}.next.jwk`);
  const next = await loadOrCreateKey(keyFile);
  const { document } = known;
  const end = new Date(nowMs + yearMs).toISOString();
  const oldEnd = overlapMs === undefined ? end : new Date(nowMs + overlapMs).toISOString();
  const also = <Rule extends { readonly key: string }>(
    rules: readonly Rule[],
    of: TrustUse,
  ): readonly Rule[] => {
    if (use !== undefined && use !== of) return rules;
    const others = rules.filter(({ key }) => key !== next.keyId);
    const mine = others.filter(({ key }) => key === old.keyId);
    return [...others, ...mine.map((rule) => ({ ...rule, key: next.keyId }))];
  };
  const keys = document.keys
    .filter(({ id }) => id !== next.keyId)
    .map((key) => {
      if (key.id !== old.keyId || overlapMs === undefined) return key;
      return { ...key, notAfter: key.notAfter < oldEnd ? key.notAfter : oldEnd };
    });
  const changed: TrustDocument = {
    ...document,
    keys: [...keys, trustKeyOf(next.publicKey, end)],
    statements: also(document.statements, "statements"),
    goals: also(document.goals, "goals"),
    passports: also(document.passports, "passports"),
    grants: also(document.grants, "grants"),
  };
  const written = await writeNext(dir, known, [root], nowMs, { ...changed, roots: undefined });
  return { document: written, keyFile, keyId: next.keyId };
}

/** Makes a new root, which the old one introduces; the old one stays as `root.old.jwk`. */
export async function rotateRoot(dir: string, nowMs: number): Promise<Rotated> {
  const { root, known } = await openFolder(dir);
  const next = createKey();
  const nextFile = join(dir, "root.next.jwk");
  await writeKey(nextFile, next);
  const document = await writeNext(dir, known, [root, next], nowMs, {
    ...known.document,
    roots: [textOf(next)],
  });
  const keyFile = join(dir, "root.jwk");
  await rename(keyFile, join(dir, "root.old.jwk"));
  await rename(nextFile, keyFile);
  await writeRootText(dir, next);
  return { document, keyFile, keyId: next.keyId };
}

interface TrustFolder {
  readonly root: KeyFile;
  readonly known: KnownTrust;
}

async function openFolder(dir: string): Promise<TrustFolder> {
  const root = await readKey(join(dir, "root.jwk"));
  const chain = await readTrustChain(join(dir, "trust.json"));
  return { root, known: followChain({ pinned: root.publicKey }, chain) };
}

async function writeNext(
  dir: string,
  known: KnownTrust,
  roots: readonly KeyFile[],
  nowMs: number,
  document: Omit<TrustDocument, "roots"> & { readonly roots: readonly string[] | undefined },
): Promise<TrustDocument> {
  const { roots: named, ...rest } = document;
  const next: TrustDocument = {
    ...rest,
    ...(named === undefined ? {} : { roots: named }),
    version: known.document.version + 1,
    issuedAt: new Date(nowMs).toISOString(),
    expires: new Date(nowMs + yearMs).toISOString(),
  };
  const { chain } = followChain(known, [signTrustDocument(roots, next)]);
  await writeChain(dir, chain);
  return next;
}

/** A single document as it always was; several in the order of their versions. */
async function writeChain(dir: string, chain: readonly Envelope[]): Promise<void> {
  const content = chain.length === 1 ? chain[0] : chain;
  await writeFileAtomic(join(dir, "trust.json"), `${JSON.stringify(content)}\n`);
}

async function writeRootText(dir: string, root: KeyFile): Promise<void> {
  await writeFileAtomic(join(dir, "root-public-key"), `${textOf(root)}\n`);
}

function textOf(key: KeyFile): string {
  return key.publicKey.toBase64({ alphabet: "base64url", omitPadding: true });
}
