// For tests: a keeper that starts with a document and remembers in memory.
import type { Envelope } from "@shoal/api/names";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type KeyFile, createKey } from "./key-file.ts";
import { publicText } from "./signers.test-kit.ts";
import { type TrustDocument, signTrustDocument } from "./trust-document.ts";
import { TrustKeeper } from "./trust-keeper.ts";

export interface TestTrust {
  readonly root: KeyFile;
  readonly keeper: TrustKeeper;
  /** The document with a change, signed with the root. */
  sign(change: Partial<TrustDocument>): Envelope;
}

const quiet = { info: () => undefined, warn: () => undefined };

export async function openTestTrust(
  document: TrustDocument,
  {
    now,
    region,
    root = createKey(),
  }: { readonly now: () => number; readonly region: string | null; readonly root?: KeyFile },
): Promise<TestTrust> {
  const dir = await mkdtemp(join(tmpdir(), "shoal-trust-"));
  const trustFile = join(dir, "trust.json");
  const file = { read: async () => undefined, write: async () => undefined };
  try {
    await writeFile(trustFile, JSON.stringify(signTrustDocument(root, document)));
    const keeper = await TrustKeeper.open(
      { file, now, region: () => region, log: quiet },
      { trustFile, rootPublicKey: publicText(root) },
    );
    const sign = (change: Partial<TrustDocument>): Envelope =>
      signTrustDocument(root, { ...keeper.document(), ...change });
    return { root, keeper, sign };
  } finally {
    await rm(dir, { recursive: true });
  }
}
