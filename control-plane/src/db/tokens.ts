// Tokens of builders and seeders, join tokens of hosts, and the hosts that joined. Only SHA-256
// hashes of secrets come here.
import type { Queries } from "./connection.ts";

export interface TokenOwner {
  readonly role: "builder" | "seeder";
  readonly name: string;
  /** Null for builders. */
  readonly region: string | null;
}

/** False when a seeder of that name is of another region. */
export async function insertToken(
  queries: Queries,
  hash: Uint8Array,
  owner: TokenOwner,
): Promise<boolean> {
  const inserted = await queries`
    insert into tokens (hash, role, name, region)
    select ${hash}, ${owner.role}, ${owner.name}, ${owner.region}
    where not exists (
      select from tokens where role = ${owner.role} and name = ${owner.name}
        and region is distinct from ${owner.region})`;
  return inserted.count > 0;
}

export async function findTokenOwner(
  queries: Queries,
  hash: Uint8Array,
): Promise<TokenOwner | null> {
  const [row] = await queries<TokenOwner[]>`
    select role, name, region from tokens where hash = ${hash}`;
  return row ?? null;
}

export async function insertJoinToken(
  queries: Queries,
  hash: Uint8Array,
  token: {
    readonly region: string;
    readonly environment: string;
    readonly usesMax: number;
    readonly ttlMs: number;
  },
): Promise<void> {
  await queries`
    insert into join_tokens (hash, region, environment, uses_max, expires_at)
    values (${hash}, ${token.region}, ${token.environment}, ${token.usesMax},
      now() + ${token.ttlMs} * interval '1 millisecond')`;
}

export interface Joining {
  readonly peerId: string;
  readonly host: string;
  readonly region: string;
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Lets a host in with a token, in one statement: the use is counted if and only if the member is
 * written. The same key, host and token again is a renewal: it costs no use, also after the token's
 * end. Null when the token is unknown, used up, expired, or of another region.
 */
export async function joinWithToken(
  queries: Queries,
  hash: Uint8Array,
  joining: Joining,
): Promise<{ readonly environment: string } | null> {
  const [row] = await queries<{ environment: string }[]>`
    with renewed as (
      update members set zone = ${joining.zone}, labels = ${queries.json(joining.labels)}
      where peer_id = ${joining.peerId} and host = ${joining.host}
        and region = ${joining.region} and token_hash = ${hash}
      returning environment
    ), used as (
      update join_tokens set uses = uses + 1
      where hash = ${hash} and region = ${joining.region} and expires_at > now()
        and uses < uses_max and not exists (select from renewed)
      returning environment
    ), joined as (
      insert into members (peer_id, host, region, environment, zone, labels, token_hash)
      select ${joining.peerId}, ${joining.host}, ${joining.region}, environment, ${joining.zone},
        ${queries.json(joining.labels)}, ${hash}
      from used
      on conflict (peer_id) do update set host = excluded.host, region = excluded.region,
        environment = excluded.environment, zone = excluded.zone, labels = excluded.labels,
        token_hash = excluded.token_hash, joined_at = now()
      returning environment
    )
    select environment from renewed union all select environment from joined`;
  return row ?? null;
}
