// Join tokens, and the hosts, builders and seeders that joined with them. Only SHA-256 hashes of secrets
// come here.
import type { Admission, JoinTokens } from "@shoal/api/seeder";
import type { JoinToken } from "@shoal/core/trust/join-rule";
import type { Queries } from "./connection.ts";

export async function insertJoinToken(
  queries: Queries,
  hash: Uint8Array,
  token: {
    readonly role: JoinToken["role"];
    readonly region: string;
    readonly environment: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly usesMax: number;
    readonly ttlMs: number;
  },
): Promise<void> {
  await queries`
    insert into join_tokens (hash, role, region, environment, labels, uses_max, expires_at)
    values (${hash}, ${token.role}, ${token.region}, ${token.environment}, ${queries.json(token.labels)},
      ${token.usesMax},
      now() + ${token.ttlMs} * interval '1 millisecond')`;
}

export interface Joining {
  readonly role: JoinToken["role"];
  readonly peerId: string;
  /** Its name, of whatever role. */
  readonly host: string;
  /** Null: that of the token. */
  readonly region: string | null;
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Joined {
  readonly region: string;
  readonly environment: string;
  /** Its own, and those of the token. */
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Lets a member in with a token, in one statement: the use is counted if and only if the member is
 * written. The same key, name and token again is a renewal: it costs no use, also after the token's
 * end. Null when the token doesn't let this one in; why is for `judgeJoin`. Fails on the index
 * `members_named` when another key has the name of this builder or seeder.
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
        and region = coalesce(${joining.region}, region) and token_hash = ${hash}
        and role = ${joining.role} and (${labels} || token_labels) @> ${labels}
      returning region, environment, labels
    ), used as (
      update join_tokens set uses = uses + 1
      where hash = ${hash} and region = coalesce(${joining.region}, region) and expires_at > now()
        and role = ${joining.role} and uses < uses_max and (${labels} || labels) @> ${labels}
        and not exists (select from renewed)
      returning region, environment, labels
    ), joined as (
      insert into members
        (peer_id, role, host, region, environment, zone, labels, token_hash, token_labels)
      select ${joining.peerId}, ${joining.role}, ${joining.host}, region, environment,
        ${joining.zone}, ${labels} || labels, ${hash}, labels
      from used
      on conflict (peer_id) do update set role = excluded.role, host = excluded.host, region = excluded.region,
        environment = excluded.environment, zone = excluded.zone, labels = excluded.labels,
        token_hash = excluded.token_hash, token_labels = excluded.token_labels, joined_at = now()
      returning region, environment, labels
    )
    select region, environment, labels from renewed
    union all select region, environment, labels from joined`;
  return row ?? null;
}

/** Null when nobody made such a token. */
export async function findJoinToken(queries: Queries, hash: Uint8Array): Promise<JoinToken | null> {
  const [row] = await queries<(Omit<JoinToken, "expiresAtMs"> & { readonly expiresAt: Date })[]>`
    select role, region, labels, uses_max - uses as "usesLeft", expires_at as "expiresAt"
    from join_tokens where hash = ${hash}`;
  if (row === undefined) return null;
  const { expiresAt, ...token } = row;
  return { ...token, expiresAtMs: expiresAt.getTime() };
}

/** Tokens of a region that still let hosts in, the newest first. */
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
    from join_tokens where role = 'host' and region = ${region} and expires_at > now() and uses < uses_max
    order by created_at desc limit ${limit}`;
  return rows.map(({ expiresAt, ...token }) => ({ ...token, expiresAtMs: expiresAt.getTime() }));
}

/** Who has a name that one of its role alone has; null for nobody. */
export async function findMemberNamed(
  queries: Queries,
  role: "builder" | "seeder",
  name: string,
): Promise<string | null> {
  const [row] = await queries<{ peerId: string }[]>`
    select peer_id as "peerId" from members where role = ${role} and host = ${name}`;
  return row?.peerId ?? null;
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
      where members.role = 'host' and members.token_hash <> excluded.token_hash`;
  if (written.count === 0) return "known";
  const used = await queries`
    update join_tokens set uses = uses + 1 where hash = ${tokenHash} and uses < uses_max`;
  return used.count > 0 ? "counted" : "overspent";
}
