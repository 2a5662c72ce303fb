// What everybody is to believe: the newest trust document, from this control plane's file, from a person
// or from another control plane, and the list of revocations. The control plane carries the first, which
// the root has signed, and signs the second.
import { ShoalError } from "@shoal/core/error";
import { revocationMs, revokedPeersMax } from "@shoal/core/limits";
import type { Envelope } from "@shoal/api/names";
import type { TrustState } from "@shoal/api/trust";
import { verifyRevocations } from "@shoal/trust/revocations";
import type { TrustKeeper } from "@shoal/trust/trust-keeper";
import type { Authority } from "../authority.ts";
import { type Database, type Queries, inTransaction } from "../db/connection.ts";
import { readEpoch } from "../db/fleet.ts";
import { lockFleet } from "../db/incarnation.ts";
import {
  type Revocation,
  dropCredentials,
  insertRevocation,
  listRevocations,
  readRevocationList,
  readStoredTrust,
  storeRevocationList,
  storeTrust,
} from "../db/trust.ts";
import { notify } from "../db/wakeups.ts";

export interface TrustDeps {
  readonly database: Database;
  readonly authority: Authority;
  readonly trust: TrustKeeper;
  readonly log: { warn(facts: object, message: string): void };
}

/** Takes newer documents of a person's and gives them to everybody. Throws what is wrong with them. */
export async function publishTrust(
  { trust, database }: Pick<TrustDeps, "trust" | "database">,
  documents: readonly Envelope[],
): Promise<void> {
  await trust.publish(documents);
  await share(database, trust);
}

/** Brings file, database and memory to the newest document that any of them has. */
export async function syncTrust(
  { trust, database }: Pick<TrustDeps, "trust" | "database">,
  trustFile: string,
): Promise<void> {
  await trust.takeFile(trustFile);
  const stored = await readStoredTrust(database);
  if (stored !== null && stored.version > trust.document().version) {
    // Of another control plane's, or of somebody who could write to the database and not sign.
    await trust.take({ documents: stored.documents, revocations: [] });
    return;
  }
  // A database that was restored from a backup may have an older one.
  if (stored?.version !== trust.document().version) await share(database, trust);
}

async function share(database: Database, trust: TrustKeeper): Promise<void> {
  const { documents } = trust.state();
  await storeTrust(database, { version: trust.document().version, documents });
  await notify(database, "plan");
}

/** What seeders carry on. */
export async function readTrustState({
  trust,
  database,
}: Pick<TrustDeps, "trust" | "database">): Promise<TrustState> {
  const list = await readRevocationList(database);
  const revocations = list === null ? [] : [list.envelope];
  return { documents: trust.state().documents, revocations };
}

/** Shuts a peer out for good; again is no error. */
export async function revokePeer(deps: TrustDeps, peerId: string): Promise<Revocation> {
  const { authority } = deps;
  await inTransaction(deps.database, async (queries) => {
    await lockFleet(queries);
    await insertRevocation(queries, peerId, new Date(authority.nowMs() + revocationMs));
    await dropCredentials(queries, peerId);
    await writeList(queries, authority);
    await notify(queries, "plan");
  });
  const all = await listRevocations(deps.database, revokedPeersMax);
  const found = all.find((revocation) => revocation.peerId === peerId);
  if (found !== undefined) return found;
  throw new ShoalError("not_found", "The revocation is gone.", { blame: "environment" });
}

/** Signs the list again where epoch or key have changed since. */
export async function renewRevocations({ database, authority }: TrustDeps): Promise<void> {
  const list = await readRevocationList(database);
  if (list === null) return;
  const epoch = await readEpoch(database);
  if (list.epoch === epoch && list.keyId === authority.passportKeyId) return;
  await inTransaction(database, async (queries) => {
    await lockFleet(queries);
    await writeList(queries, authority);
    await notify(queries, "plan");
  });
}

/** Takes back revocations that a backup had lost, from lists that we signed ourselves. */
export async function learnRevocations(
  deps: TrustDeps,
  region: string,
  envelopes: readonly Envelope[],
): Promise<void> {
  if (envelopes.length === 0) return;
  const nowMs = deps.authority.nowMs();
  await inTransaction(deps.database, async (queries) => {
    await lockFleet(queries);
    let isNew = false;
    for (const envelope of envelopes) {
      const list = verified(deps, envelope, region);
      for (const { peerId, until } of list?.peers ?? []) {
        if (Date.parse(until) <= nowMs) continue;
        if (!(await insertRevocation(queries, peerId, new Date(until)))) continue;
        await dropCredentials(queries, peerId);
        isNew = true;
      }
    }
    if (!isNew) return;
    await writeList(queries, deps.authority);
    await notify(queries, "plan");
  });
}

function verified(
  { trust, authority, log }: TrustDeps,
  envelope: Envelope,
  region: string,
): ReturnType<typeof verifyRevocations> | null {
  try {
    return verifyRevocations(envelope, trust.document(), { nowMs: authority.nowMs(), region });
  } catch (error) {
    log.warn({ error, region }, "refused a list of revocations that a seeder brought");
    return null;
  }
}

async function writeList(queries: Queries, authority: Authority): Promise<void> {
  const before = await readRevocationList(queries);
  const epoch = await readEpoch(queries);
  const version = (before?.version ?? 0) + 1;
  const nowMs = authority.nowMs();
  const peers = (await listRevocations(queries, revokedPeersMax))
    .filter(({ until }) => Date.parse(until) > nowMs)
    .map(({ peerId, until }) => ({ peerId, until }));
  const envelope = authority.signRevocations({ epoch, version, peers });
  await storeRevocationList(queries, {
    epoch,
    version,
    keyId: authority.passportKeyId,
    envelope,
  });
}
