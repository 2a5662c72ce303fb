import type { Envelope } from "@shoal/core/trust/dsse";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createKey } from "./key-file.ts";
import { signRevocations } from "./revocations.ts";
import { codeOf, createSigners, nowMs, publicText, trustOf } from "./signers.test-kit.ts";
import { signTrustDocument, type TrustDocument } from "./trust-document.ts";
import { TrustKeeper } from "./trust-keeper.ts";

const signers = createSigners();
const { root, passports, builder } = signers;
const base = trustOf(signers);
const hourMs = 3_600_000;

let dir: string;
let warnings: string[];
let clockMs: number;
let isDiskFull: boolean;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shoal-trust-keeper-"));
  warnings = [];
  clockMs = nowMs;
  isDiskFull = false;
  await writeFile(path("trust.json"), JSON.stringify(sign(3)));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const path = (name: string): string => join(dir, name);
const sign = (version: number, change: Partial<TrustDocument> = {}, by = root): Envelope =>
  signTrustDocument(by, { ...base, version, ...change });

function open(rootPublicKey = publicText(root)): Promise<TrustKeeper> {
  const file = {
    read: () => readFile(path("state.json")).catch(() => undefined),
    write: async (content: string) => {
      if (isDiskFull) throw new Error("no space left");
      await writeFile(path("state.json"), content);
    },
  };
  const log = {
    info: () => undefined,
    warn: (facts: object) => warnings.push("code" in facts ? String(facts.code) : "other"),
  };
  const deps = { file, now: () => clockMs, region: () => "north", log };
  return TrustKeeper.open(deps, { trustFile: path("trust.json"), rootPublicKey });
}

const take = (keeper: TrustKeeper, ...documents: readonly Envelope[]): Promise<boolean> =>
  keeper.take({ documents, revocations: [] });

test("remembers the newest document over a restart, whatever the configured file says", async () => {
  const keeper = await open();
  expect(keeper.document().version).toBe(3);
  expect(await take(keeper, sign(5))).toBe(true);
  const again = await open();
  expect(again.document().version).toBe(5);
  expect(again.edition()).toBe(keeper.edition());
  expect(warnings).toEqual([]);
});

test("never goes back to an older document", async () => {
  const keeper = await open();
  await take(keeper, sign(5));
  expect(await take(keeper, sign(4))).toBe(false);
  expect(keeper.document().version).toBe(5);
  expect(warnings).toEqual(["trust_document_rolled_back"]);
});

test("starts from the configured file when its own is corrupt", async () => {
  await take(await open(), sign(5));
  await writeFile(path("state.json"), "{");
  const keeper = await open();
  expect(keeper.document().version).toBe(3);
  expect(await take(keeper, sign(5))).toBe(true);
});

test("goes on with what it knew when the configured file is gone or forged", async () => {
  await take(await open(), sign(5));
  for (const content of ["{", JSON.stringify(sign(9, {}, builder))]) {
    await writeFile(path("trust.json"), content);
    expect((await open()).document().version).toBe(5);
  }
});

test("follows a change of the root, and remembers that too", async () => {
  const next = createKey();
  const keeper = await open();
  const change = signTrustDocument([root, next], {
    ...base,
    version: 4,
    roots: [publicText(next)],
  });
  await take(keeper, change, sign(5, {}, next));
  await take(keeper, sign(6));
  expect(warnings).toEqual(["signature_key_unknown"]);
  const again = await open();
  expect(again.document().version).toBe(5);
  expect(await take(again, sign(6, {}, next))).toBe(true);
  // Who was installed with the new root gets along with the same documents.
  await writeFile(path("trust.json"), JSON.stringify(again.state().documents));
  await rm(path("state.json"));
  expect((await open(publicText(next))).document().version).toBe(6);
});

test("carries the links from older roots for others, though it was installed with the new one", async () => {
  const next = createKey();
  const link = signTrustDocument([root, next], { ...base, version: 4, roots: [publicText(next)] });
  const newest = sign(5, {}, next);
  await writeFile(path("trust.json"), JSON.stringify(newest));
  const keeper = await open(publicText(next));
  expect(await take(keeper, link, newest)).toBe(true);
  expect((await open(publicText(next))).state().documents).toEqual([link, newest]);
});

test("doesn't start for the first time on a document that has expired, and later does", async () => {
  clockMs = Date.parse(base.expires);
  expect(await codeOf(() => open())).toBe("trust_document_expired");
  clockMs = nowMs;
  await open();
  clockMs = Date.parse(base.expires);
  expect((await open()).document().version).toBe(3);
});

test("acts on what it can't save", async () => {
  const keeper = await open();
  isDiskFull = true;
  expect(await take(keeper, sign(5))).toBe(true);
  expect(keeper.document().version).toBe(5);
  isDiskFull = false;
  await take(keeper, sign(5));
  expect((await open()).document().version).toBe(5);
});

const [first, second] = [createKey().peerId, createKey().peerId];
const revoke = (
  epoch: number,
  version: number,
  peers: readonly string[],
  key = passports,
): Envelope =>
  signRevocations(key, {
    format: "shoal.revocations/v1",
    epoch,
    version,
    issuedAt: "2026-06-01T00:00:00Z",
    peers: peers.map((peerId) => ({ peerId, until: new Date(nowMs + hourMs).toISOString() })),
  });
const takeLists = (keeper: TrustKeeper, ...revocations: readonly Envelope[]): Promise<boolean> =>
  keeper.take({ documents: keeper.state().documents, revocations });

test("forgets nobody who was revoked: over restarts, and when a list has lost somebody", async () => {
  const keeper = await open();
  await takeLists(keeper, revoke(1, 1, [first]));
  expect([first, second].map(keeper.isRevoked)).toEqual([true, false]);
  // A control plane that was restored from a backup has a higher epoch and knows less.
  await takeLists(keeper, revoke(2, 1, [second]));
  const again = await open();
  expect([first, second].map(again.isRevoked)).toEqual([true, true]);
  expect(again.state().revocations).toHaveLength(2);
  // Once it has learned what it had lost, one list is enough again.
  await takeLists(again, revoke(2, 2, [second, first]));
  expect(again.state().revocations).toHaveLength(1);
  clockMs += hourMs;
  expect([first, second].map(again.isRevoked)).toEqual([false, false]);
});

const badLists = [
  ["of a builder's key", "key_not_allowed", revoke(9, 9, [], builder)],
  ["of a stranger", "signature_key_unknown", revoke(9, 9, [], createKey())],
  ["of an expired key", "key_expired", revoke(9, 9, [], signers.expired)],
  ["older than the one known", "revocations_rolled_back", revoke(1, 9, [second])],
  ["that is another document", "envelope_invalid", sign(9)],
  [
    "with a forged signature",
    "signature_invalid",
    { ...revoke(9, 9, []), payload: revoke(9, 9, [second]).payload },
  ],
] as const;
test.for(badLists)("a list of revocations %s is refused with %s", async ([, code, list]) => {
  const keeper = await open();
  await takeLists(keeper, revoke(2, 1, [first]));
  await takeLists(keeper, list);
  expect(warnings).toEqual([code]);
  expect([first, second].map(keeper.isRevoked)).toEqual([true, false]);
});
