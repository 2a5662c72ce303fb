// Trust documents and revocations as rows.
import type { Envelope } from "@shoal/api/names";
import type { Queries } from "./connection.ts";

export interface StoredTrust {
  readonly version: number;
  readonly documents: readonly Envelope[];
}

export async function readStoredTrust(queries: Queries): Promise<StoredTrust | null> {
  const [row] = await queries<StoredTrust[]>`select version, documents from trust`;
  return row ?? null;
}

/** Keeps the newer of the two. */
export async function storeTrust(queries: Queries, trust: StoredTrust): Promise<void> {
  const { version, documents } = trust;
  await queries`
    insert into trust (version, documents) values (${version}, ${queries.json(documents)})
    on conflict (one) do update set version = excluded.version, documents = excluded.documents
      where trust.version < excluded.version`;
}

export interface Revocation {
  readonly peerId: string;
  /** RFC 3339. */
  readonly revokedAt: string;
  readonly until: string;
}

/** The newest first. */
export async function listRevocations(queries: Queries, limit: number): Promise<Revocation[]> {
  const rows = await queries<{ peerId: string; revokedAt: Date; until: Date }[]>`
    select peer_id as "peerId", revoked_at as "revokedAt", until
    from revocations order by until desc, peer_id limit ${limit}`;
  return rows.map((row) => ({
    peerId: row.peerId,
    revokedAt: row.revokedAt.toISOString(),
    until: row.until.toISOString(),
  }));
}

/** False when the peer is revoked already. */
export async function insertRevocation(
  queries: Queries,
  peerId: string,
  until: Date,
): Promise<boolean> {
  const inserted = await queries`
    insert into revocations (peer_id, until) values (${peerId}, ${until.toISOString()})
    on conflict do nothing`;
  return inserted.count > 0;
}

export async function isRevoked(queries: Queries, peerId: string): Promise<boolean> {
  const rows = await queries`select from revocations where peer_id = ${peerId}`;
  return rows.length > 0;
}

export interface StoredList {
  readonly epoch: number;
  readonly version: number;
  readonly keyId: string;
  readonly envelope: Envelope;
}

export async function readRevocationList(queries: Queries): Promise<StoredList | null> {
  const [row] = await queries<StoredList[]>`
    select epoch, version, key_id as "keyId", envelope from revocation_list`;
  return row ?? null;
}

/** To be called under the lock on the fleet's row: two lists never have the same version. */
export async function storeRevocationList(queries: Queries, list: StoredList): Promise<void> {
  const { epoch, version, keyId, envelope } = list;
  await queries`
    insert into revocation_list (epoch, version, key_id, envelope)
    values (${epoch}, ${version}, ${keyId}, ${queries.json(envelope)})
    on conflict (one) do update set epoch = excluded.epoch, version = excluded.version,
      key_id = excluded.key_id, envelope = excluded.envelope`;
}

/** What a revoked peer came with goes as well: its join token, and a seeder's row. */
export async function dropCredentials(queries: Queries, peerId: string): Promise<void> {
  await queries`
    delete from join_tokens where hash in (select token_hash from members where peer_id = ${peerId})`;
  await queries`delete from seeders where peer_id = ${peerId}`;
  await queries`delete from members where peer_id = ${peerId}`;
}
