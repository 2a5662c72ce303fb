// Tokens of builders and seeders, join tokens of hosts, and the hosts that joined. Only SHA-256
// hashes of secrets come here.
import type { Admission, JoinTokens } from "@shoal/api/seeder";
import type { JoinToken } from "@shoal/core/trust/join-rule";
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
    readonly labels: Readonly<Record<string, string>>;
    readonly usesMax: number;
    readonly ttlMs: number;
  },
): Promise<void> {
  await queries`
    insert into join_tokens (hash, region, environment, labels, uses_max, expires_at)
    values (${hash}, ${token.region}, ${token.environment}, ${queries.json(token.labels)},
      ${token.usesMax},
      now() + ${token.ttlMs} * interval '1 millisecond')`;
}

export interface Joining {
  readonly peerId: string;
  readonly host: string;
  readonly region: string;
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Joined {
  readonly environment: string;
  /** The host's own, and those of the token. */
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Lets a host in with a token, in one statement: the use is counted if and only if the member is
 * written. The same key, host and token again is a renewal: it costs no use, also after the token's
 * end. Null when the token doesn't let this host in; why is for `judgeJoin`.
 */
export async function joinWithToken(
  queries: Queries,
  hash: Uint8Array,
  joining: Joining,
): Promise<Joined | null> {
  const labels = queries.json(joining.labels);
  const [row] = await queries<Joined[]>`
    with renewed as (
      update members set zone = ${joining.zone}, labels = ${labels} || token_labels
      where peer_id = ${joining.peerId} and host = ${joining.host}
        and region = ${joining.region} and token_hash = ${hash}
        and (${labels} || token_labels) @> ${labels}
      returning environment, labels
    ), used as (
      update join_tokens set uses = uses + 1
      where hash = ${hash} and region = ${joining.region} and expires_at > now()
        and uses < uses_max and (${labels} || labels) @> ${labels}
        and not exists (select from renewed)
      returning environment, labels
    ), joined as (
      insert into members (peer_id, host, region, environment, zone, labels, token_hash, token_labels)
      select ${joining.peerId}, ${joining.host}, ${joining.region}, environment, ${joining.zone},
        ${labels} || labels, ${hash}, labels
      from used
      on conflict (peer_id) do update set host = excluded.host, region = excluded.region,
        environment = excluded.environment, zone = excluded.zone, labels = excluded.labels,
        token_hash = excluded.token_hash, token_labels = excluded.token_labels, joined_at = now()
      returning environment, labels
    )
    select environment, labels from renewed union all select environment, labels from joined`;
  return row ?? null;
}

/** Null when nobody made such a token. */
export async function findJoinToken(queries: Queries, hash: Uint8Array): Promise<JoinToken | null> {
  const [row] = await queries<(Omit<JoinToken, "expiresAtMs"> & { readonly expiresAt: Date })[]>`
    select region, labels, uses_max - uses as "usesLeft", expires_at as "expiresAt"
    from join_tokens where hash = ${hash}`;
  if (row === undefined) return null;
  const { expiresAt, ...token } = row;
  return { ...token, expiresAtMs: expiresAt.getTime() };
}

/** Tokens of a region that still let somebody in, the newest first. */
export async function openJoinTokens(
  queries: Queries,
  region: string,
  limit: number,
): Promise<JoinTokens["items"]> {
  const rows = await queries<
    (Omit<JoinTokens["items"][number], "expiresAtMs"> & { readonly expiresAt: Date })[]
  >`
    select encode(hash, 'hex') as hash, environment, labels, uses_max - uses as "usesLeft",
      expires_at as "expiresAt"
    from join_tokens where region = ${region} and expires_at > now() and uses < uses_max
    order by created_at desc limit ${limit}`;
  return rows.map(({ expiresAt, ...token }) => ({ ...token, expiresAtMs: expiresAt.getTime() }));
}

/** Counts a host that was let in already, once. `overspent`: its token had no use left. */
export async function countAdmission(
  queries: Queries,
  { hash, ...joining }: Admission & { readonly region: string },
): Promise<"counted" | "known" | "overspent"> {
  const tokenHash = Buffer.from(hash, "hex");
  const written = await queries`
    insert into members (peer_id, host, region, environment, zone, labels, token_hash, token_labels)
    select ${joining.peerId}, ${joining.host}, ${joining.region}, ${joining.environment},
      ${joining.zone}, ${queries.json(joining.labels)}, ${tokenHash},
      coalesce((select labels from join_tokens where hash = ${tokenHash}), '{}')
    where not exists (select from revocations where peer_id = ${joining.peerId})
    on conflict (peer_id) do update set host = excluded.host, region = excluded.region,
      environment = excluded.environment, zone = excluded.zone, labels = excluded.labels,
      token_hash = excluded.token_hash, token_labels = excluded.token_labels, joined_at = now()
      where members.token_hash <> excluded.token_hash`;
  if (written.count === 0) return "known";
  const used = await queries`
    update join_tokens set uses = uses + 1 where hash = ${tokenHash} and uses < uses_max`;
  return used.count > 0 ? "counted" : "overspent";
}
